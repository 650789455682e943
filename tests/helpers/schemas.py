# SPDX-License-Identifier: MIT
"""What is printed as JSON, held against the schemas in share/. They name every field: one that they do
not know is a fault here."""

import json
import os

from scenario import skip

try:
    import jsonschema
except ImportError:
    skip("needs the Python module 'jsonschema'")

SHARE = os.path.join(os.environ["SOURCE_ROOT"], "share")


def _closed(schema):
    """The same, with no field beside those that it names."""
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    ret = {key: _closed(part) for key, part in schema.items()}
    if schema.get("type") == "object":
        ret["additionalProperties"] = False
    return ret


def _validators():
    found = {}
    for name in sorted(os.listdir(SHARE)):
        if name.endswith(".schema.json"):
            with open(os.path.join(SHARE, name), encoding="utf-8") as file:
                schema = json.load(file)
            jsonschema.Draft202012Validator.check_schema(schema)
            found[name.partition(".")[0]] = jsonschema.Draft202012Validator(_closed(schema))
    return found


VALIDATORS = _validators()


def names():
    return sorted(VALIDATORS)


def faults(name, value):
    """What is wrong with it: a list of words."""
    return [f"{'/'.join(map(str, error.path))}: {error.message[:200]}"
            for error in VALIDATORS[name].iter_errors(value)]

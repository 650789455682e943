/* SPDX-License-Identifier: MIT */
/* Draws the page's tables as charts, next to them: what is drawn is what the cells say. */
(() => {
    "use strict";
    /* A link to a comparison opens it; a button opens all, or closes them. */
    const comparisons = [...document.querySelectorAll("details.group")];
    const openTarget = () => {
        const target = document.getElementById(location.hash.slice(1));
        if (target && target.tagName === "DETAILS") target.open = true, target.scrollIntoView();
    };
    const button = document.getElementById("all");
    const allOpen = () => comparisons.every((details) => details.open);
    const label = () => { button.textContent = allOpen() ? "Close all comparisons" : "Open all comparisons"; };
    if (button && comparisons.length > 1) {
        button.hidden = false;
        button.addEventListener("click", () => {
            const open = !allOpen();
            comparisons.forEach((details) => { details.open = open; });
        });
        comparisons.forEach((details) => details.addEventListener("toggle", label));
        label();
    }
    addEventListener("hashchange", openTarget);
    openTarget();

    if (typeof Chart === "undefined") {
        document.documentElement.classList.add("no-charts");
        return;
    }

    const HUES = ["#0072b2", "#d55e00", "#009e73", "#aa4499", "#b58900", "#56b4e9", "#cc3311", "#777777"];
    const POINTS = ["circle", "triangle", "rect", "rectRot", "cross", "star", "crossRot", "dash"];
    const DASHES = [[], [6, 3], [2, 2], [8, 3, 2, 3], [1, 3], [10, 4], [4, 2, 1, 2], [3, 6]];
    const charts = [];

    const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    const figures = (cell, name) => (cell.dataset[name] || "").split(" ").map(Number);

    /* The interval of each point, as a line with two ends. */
    const intervals = {
        id: "intervals",
        afterDatasetsDraw(chart) {
            const context = chart.ctx;
            const across = chart.options.indexAxis === "y";
            const scale = across ? chart.scales.x : chart.scales.y;
            context.save();
            context.lineWidth = 1.5;
            chart.data.datasets.forEach((dataset, index) => {
                context.strokeStyle = dataset.borderColor;
                chart.getDatasetMeta(index).data.forEach((point, at) => {
                    const bounds = dataset.bounds[at];
                    if (!bounds) return;
                    const low = scale.getPixelForValue(bounds[0]), high = scale.getPixelForValue(bounds[1]);
                    context.beginPath();
                    if (across) {
                        context.moveTo(low, point.y), context.lineTo(high, point.y);
                        context.moveTo(low, point.y - 4), context.lineTo(low, point.y + 4);
                        context.moveTo(high, point.y - 4), context.lineTo(high, point.y + 4);
                    } else {
                        context.moveTo(point.x, low), context.lineTo(point.x, high);
                        context.moveTo(point.x - 4, low), context.lineTo(point.x + 4, low);
                        context.moveTo(point.x - 4, high), context.lineTo(point.x + 4, high);
                    }
                    context.stroke();
                });
            });
            context.restore();
        },
    };

    const paint = (chart) => {
        const ink = style("--ink"), soft = style("--soft"), grid = style("--grid");
        for (const scale of Object.values(chart.options.scales)) {
            scale.ticks.color = ink;
            scale.grid.color = grid;
            scale.title.color = soft;
        }
        chart.options.plugins.legend.labels.color = ink;
        chart.update("none");
    };

    /* On a scale of powers of ten, ticks at 1, 2 and 5; at all nine where it is a short one. */
    const few = (short) => (value) => {
        const mantissa = value / 10 ** Math.floor(Math.log10(value) + 1e-9);
        const wanted = short ? Math.abs(mantissa - Math.round(mantissa)) < 0.01 : [1, 2, 5].some((one) => Math.abs(mantissa - one) < 0.01);
        return wanted ? String(Number(Number(value).toPrecision(3))) : "";
    };
    const logarithmic = (title, bounds) => {
        const min = 0.85 * Math.min(...bounds), max = 1.15 * Math.max(...bounds);
        return {
            type: "logarithmic", grid: {}, min, max, title: {display: true, text: title},
            ticks: {callback: few(max < 5 * min), autoSkip: false, maxRotation: 0},
        };
    };

    const draw = (figure, height, config) => {
        const box = document.createElement("div"), canvas = document.createElement("canvas");
        box.className = "canvas";
        box.style.height = `${height}px`;
        canvas.setAttribute("role", "img");
        canvas.setAttribute("aria-label", `${figure.querySelector("figcaption").textContent}. The table below has the same figures.`);
        box.append(canvas);
        figure.append(box);
        const chart = new Chart(canvas, config);
        charts.push(chart);
        paint(chart);
    };

    const options = (extra) => Object.assign({
        animation: false, responsive: true, maintainAspectRatio: false,
        plugins: {legend: {display: false, labels: {usePointStyle: true}}, tooltip: {callbacks: {
            label: (item) => {
                const bounds = item.dataset.bounds[item.dataIndex];
                return `${item.dataset.label ? item.dataset.label + ": " : ""}${item.formattedValue} [${bounds[0]} ${bounds[1]}]`;
            }}}},
    }, extra);

    const drawGroup = (figure) => {
        const name = figure.dataset.figure;
        const rows = [...document.getElementById(figure.dataset.table).tBodies[0].rows].filter((row) => row.dataset[name]);
        const values = rows.map((row) => figures(row, name));
        draw(figure, 60 + 26 * rows.length, {
            type: "line", plugins: [intervals],
            data: {
                labels: rows.map((row) => row.cells[0].textContent),
                datasets: [{
                    data: values.map((value) => value[1]), bounds: values.map((value) => [value[0], value[2]]),
                    showLine: false, pointRadius: 5, borderColor: HUES[0], backgroundColor: HUES[0],
                    pointStyle: rows.map((row) => row.className === "control" ? "rectRot" : "circle"),
                    pointBackgroundColor: rows.map((row) => row.className === "control" ? "transparent" : HUES[0]),
                }],
            },
            options: options({indexAxis: "y", scales: {
                x: logarithmic(figure.dataset.unit, values.flat()),
                y: {type: "category", offset: true, grid: {}, title: {display: false}, ticks: {autoSkip: false}},
            }}),
        });
    };

    const drawSizes = (figure) => {
        const table = document.getElementById(figure.dataset.table);
        const labels = [...table.tHead.rows[0].cells].slice(1).map((cell) => cell.textContent);
        const datasets = [...table.tBodies[0].rows].map((row, index) => {
            const values = [...row.cells].slice(1).map((cell) => cell.dataset.cpu ? figures(cell, "cpu") : null);
            return {
                label: row.cells[0].textContent, data: values.map((value) => value ? value[1] : null),
                bounds: values.map((value) => value ? [value[0], value[2]] : null),
                borderColor: HUES[index % 8], backgroundColor: HUES[index % 8], borderWidth: 2,
                borderDash: DASHES[index % 8], pointStyle: POINTS[index % 8], pointRadius: 5, spanGaps: true,
            };
        });
        const config = {
            type: "line", plugins: [intervals], data: {labels, datasets},
            options: options({scales: {
                x: {type: "category", offset: true, grid: {}, title: {display: true, text: "size of the calls"}, ticks: {}},
                y: logarithmic("CPU s/GiB", datasets.flatMap((dataset) => dataset.bounds.filter(Boolean).flat())),
            }}),
        };
        config.options.plugins.legend.display = true;
        draw(figure, 420, config);
    };

    Chart.defaults.font.family = "system-ui, sans-serif";
    Chart.defaults.font.size = 13;
    /* What is closed has no width to draw in: it is drawn when it is opened. */
    const drawOpen = (within) => within.querySelectorAll("figure[data-figure]").forEach((figure) => {
        if (!figure.querySelector("canvas") && !figure.closest("details:not([open])")) drawGroup(figure);
    });
    drawOpen(document);
    document.querySelectorAll("figure[data-sizes]").forEach(drawSizes);
    const repaint = () => charts.forEach(paint);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
    /* Paper is light, and narrower than the window. */
    matchMedia("print").addEventListener("change", () => {
        charts.forEach((chart) => chart.resize());
        repaint();
    });
    document.querySelectorAll("details").forEach((details) =>
        details.addEventListener("toggle", () => drawOpen(details)));
})();

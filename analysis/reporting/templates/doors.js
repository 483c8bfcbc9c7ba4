// Behind a number of a table: its estimate in full, the model, its sample and variables. A click on a number, or an
// address that ends in #door/exhibit/column/term, opens it; from file://, fetching nothing.
(function () {
  "use strict";
  var make = pilotcity.make, zh = pilotcity.zh, data = null, dialog = null, now = null;
  function T(en, chinese) { return zh() ? chinese : en; }
  function number(value) {
    if (value === null || value === undefined) { return ""; }
    return Math.abs(value) >= 1e5 ? value.toLocaleString("en-US", { maximumFractionDigits: 1 }) : String(Number(value.toPrecision(7)));
  }
  function english(element) {
    var own = element.querySelector(".in-en");
    return (own || element).textContent.replace(/\s+/g, " ").trim();
  }
  function plain(text) { return text.replace(/[()\[\],*†\s]/g, "").replace("\u2212", "-"); }
  function near(value, text) {
    var shown = Number(text), decimals = (text.split(".")[1] || "").replace(/e.*/, "").length;
    return value !== null && !isNaN(shown) && Math.abs(value - shown) <= (text.indexOf("e") > 0 ? Math.abs(shown) * 0.06 : 0.51 * Math.pow(10, -decimals));
  }

  // column of the grid in which a cell stands: rows may lack their first cell, which spans two
  function across(cell) {
    var at = 0, row = cell.parentNode;
    for (var each = cell.previousElementSibling; each; each = each.previousElementSibling) { if (each.tagName === "TD") { at += 1; } }
    return [at, row];
  }
  function heads(table, at) {
    var found = [];
    Array.from(table.tHead.rows).forEach(function (row, index) {
      var cells = Array.from(row.cells).slice(index === 0 ? 1 : 0), text = cells[at] ? english(cells[at]) : "";
      // a heading that stands over several columns is written once
      for (var back = at; !text && back > 0; back -= 1) { text = cells[back - 1] ? english(cells[back - 1]) : ""; }
      found.push(text);
    });
    return found;
  }
  function rowLabel(row) {
    for (var each = row; each; each = each.previousElementSibling) {
      var head = each.querySelector("th[scope=row]");
      if (head) { return english(head); }
    }
    return "";
  }

  function find(cell) {
    var section = cell.closest("section.exhibit"), name = section.getAttribute("aria-labelledby"), exhibit = data.exhibits[name];
    if (!exhibit) { return null; }
    var place = across(cell), table = cell.closest("table"), columns = heads(table, place[0]), label = rowLabel(place[1]);
    var block = cell.closest("tbody").querySelector("th[scope=rowgroup]"), part = block ? english(block) : "", text = plain(english(cell));
    var labels = Object.keys(exhibit.models), paper = /published/i.test(part);
    var model = labels.find(function (each) { return columns.indexOf(each) >= 0; })
      || labels.find(function (each) { var own = exhibit.models[each]; return own.heading === label && (!own.outcome || columns.indexOf(own.outcome[0]) >= 0); })
      || labels.find(function (each) { return each === label || each === part; }) || null;
    var code = /\((\w+)\)$/.exec(label), rows = exhibit.estimates.filter(function (row) {
      return model ? row[0] === model : exhibit.variables.length ? code && row[0] === code[1] || row[0] === label : true;
    });
    var fields = paper ? [7, 8] : [2, 3, 4, 5, 6];
    var fitting = rows.filter(function (row) { return fields.some(function (field) { return near(row[field], text); }); });
    var term = fitting.find(function (row) { return code && row[1] === code[1]; }) || fitting[0]
      || rows.find(function (row) { return code && row[1] === code[1]; }) || null;
    return { exhibit: name, model: model || (term && exhibit.models[term[0]] ? term[0] : null), row: term, shown: english(cell), label: label, columns: columns, paper: paper, part: part };
  }

  function variable(own) {
    var text = T(own[1], own[2]) + (own[0] === own[1] ? "" : " (" + own[0] + ")");
    return own[3] ? make("a", { href: own[3] }, [text]) : make("span", {}, [text]);
  }
  function list(parts) {
    var found = [];
    parts.forEach(function (part, at) { if (at) { found.push(", "); } found.push(part); });
    return found;
  }
  function p(value) { return value < 0.001 ? "p < 0.001" : "p = " + Number(value.toPrecision(3)); }
  function stars(value) { return value < 0.01 ? "***" : value < 0.05 ? "**" : value < 0.1 ? "*" : ""; }

  function render() {
    var exhibit = data.exhibits[now.exhibit], model = now.model ? exhibit.models[now.model] : null, row = now.row, pairs = [];
    var title = document.getElementById(now.exhibit);
    if (row && row[2] !== null) {
      var mark = row[4] === null ? "" : stars(row[4]);
      pairs.push([T("Estimate", "估计值"), number(row[2]) + mark + (row[3] === null ? "" : T(", standard error ", "，标准误 ") + number(row[3])) + (row[4] === null ? "" : ", " + p(row[4]))]);
      if (row[3] !== null) { pairs.push([T("95% interval, normal", "95%置信区间（正态）"), number(row[2] - 1.959964 * row[3]) + T(" to ", " 至 ") + number(row[2] + 1.959964 * row[3])]); }
      if (row[4] !== null) { pairs.push([T("Stars", "星号"), mark ? mark + T(": significant at ", "：显著性水平 ") + { "***": "1%", "**": "5%", "*": "10%" }[mark] : T("none: not significant at 10%", "无：10%水平上不显著")]); }
    }
    if (row && row[7] !== null) { pairs.push([T("Printed in the paper", "原文数值"), number(row[7]) + (row[8] === null ? "" : T(", standard error ", "，标准误 ") + number(row[8])) + (row[2] === null ? "" : T("; difference ", "；差异 ") + number(row[2] - row[7]))]); }
    if (row && row[9]) { pairs.push([T("Note", "说明"), row[9]]); }
    if (row && row[5] !== null) { pairs.push([T("Rows", "观测值"), number(row[5]) + (row[6] === null ? "" : ", R² " + number(row[6]))]); }
    var models = model ? [model] : exhibit.variables.length ? [] : Object.values(exhibit.models);
    if (!model && row && exhibit.variables.length) {
      pairs.push([T("Variable", "变量"), list(exhibit.variables.filter(function (own) { return own[0] === row[0]; }).map(variable))]);
    }
    models.slice(0, model ? 1 : 6).forEach(function (own) {
      if (own.outcome) { pairs.push([T("Outcome", "被解释变量"), [variable(own.outcome)]]); }
      pairs.push([T("Treatment", "处理变量"), list(own.treatments.map(variable))]);
      if (own.controls.length) { pairs.push([T("Controls", "控制变量"), list(own.controls.map(variable))]); }
      pairs.push([T("Method", "方法"), own.method[0] + (own.method[1] ? ": " + T(own.method[1], own.method[2]) : "")]);
      if (own.effects.length) { pairs.push([T("Fixed effects", "固定效应"), own.effects.join(", ")]); }
      if (own.cluster.length) { pairs.push([T("Errors clustered by", "聚类标准误"), own.cluster.join(", ")]); }
      pairs.push([T("Sample", "样本"), own.sample.join("; ") + (own.without ? T("; without " + own.without + " cities", "；剔除" + own.without + "个城市") : "") + "; panels." + own.panel]);
      if (own.weights.length) { pairs.push([T("Weights matrix", "空间权重矩阵"), own.weights.map(function (each) { return T(each[0], each[1]); }).join("; ")]); }
      var options = Object.keys(own.options);
      if (options.length) { pairs.push([T("Options", "选项"), options.map(function (key) { return key + " " + own.options[key]; }).join("; ")]); }
    });
    var facts = make("dl");
    pairs.forEach(function (pair) { facts.append(make("dt", {}, [pair[0]]), make("dd", {}, [].concat(pair[1]))); });
    var close = make("button", { type: "button" }, [T("Close", "关闭")]);
    close.addEventListener("click", function () { dialog.close(); });
    var where = [now.label, now.columns.filter(Boolean).join(", ")].filter(Boolean).join("; ");
    dialog.replaceChildren(
      make("h2", { id: "door-title" }, [now.shown + (now.paper ? T(" (printed in the paper)", "（原文）") : "")]),
      make("p", { "class": "quiet" }, [title.innerText.trim() + (where ? " · " + where : "")]),
      facts,
      make("p", { "class": "quiet" }, [T("A variable leads to its values, and each value to the cells of the raw files.", "点击变量可查看其取值，再由取值追溯到原始文件单元格。")]),
      close
    );
  }
  function open(found) {
    if (!found) { return; }
    now = found;
    if (!dialog) {
      dialog = make("dialog", { "class": "estimate", "aria-labelledby": "door-title" });
      document.body.append(dialog);
      dialog.addEventListener("click", function (event) { if (event.target === dialog) { dialog.close(); } });
    }
    render();
    dialog.showModal();
  }
  function fromAddress() {
    var parts = decodeURIComponent(location.hash.slice(1)).split("/");
    if (parts[0] !== "door" || !data || !data.exhibits[parts[1]]) { return; }
    var row = data.exhibits[parts[1]].estimates.find(function (each) { return each[0] === parts[2] && each[1] === parts[3]; });
    document.getElementById(parts[1]).scrollIntoView();
    if (row) { open({ exhibit: parts[1], model: parts[2], row: row, shown: number(row[2]), label: parts[3], columns: [parts[2]], paper: false }); }
  }

  pilotcity.estimates = function (study, found) {
    data = found;
    document.querySelectorAll("section.exhibit table tbody td").forEach(function (cell) {
      if (!/\d/.test(cell.textContent) || cell.querySelector("button")) { return; }
      var button = make("button", { type: "button", "class": "door" });
      button.append.apply(button, Array.from(cell.childNodes));
      cell.append(button);
    });
    document.addEventListener("click", function (event) {
      var button = event.target.closest && event.target.closest("section.exhibit table button.door");
      if (button) { open(find(button.closest("td"))); }
    });
    window.addEventListener("hashchange", fromAddress);
    document.addEventListener("language", function () { if (dialog && dialog.open) { render(); } });
    fromAddress();
  };
})();

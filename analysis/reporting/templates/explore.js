// Pages of a city and of a variable, and the walk from a published value to its raw cells: as analysis.lineage has it,
// from the scripts in trace/. Works from file:// and fetches nothing.
(function () {
  "use strict";
  var make = pilotcity.make, zh = pilotcity.zh, NATION = "100000";
  var shared = null, cities = {}, columns = {}, unpacked = Promise.resolve();
  var place = document.getElementById("explore"), kind = place.dataset.kind;
  var COVERAGE = { patents: ["patent_applications", "applications filed", "件申请"], cases: ["concluded_cases", "judgments concluded", "件结案"] };
  var SYMBOLS = { log: ["logged", "取对数", "ln {}"], log1p: ["logged, one added", "加一取对数", "ln(1 + {})"], asinh: ["inverse hyperbolic sine", "反双曲正弦", "asinh {}"] };
  var ROLES = { inputs: ["input", "投入"], outputs: ["output", "期望产出"], bad_outputs: ["bad output", "非期望产出"] };
  pilotcity.shared = function (data) { shared = data; };
  pilotcity.city = function (code, data) { cities[code] = data; };
  pilotcity.column = function (name, data) { columns[name] = data; };
  // what is large comes packed; who waits for its script waits for that too
  pilotcity.packed = function (to, name, text) {
    var bytes = Uint8Array.from(atob(text), function (letter) { return letter.charCodeAt(0); });
    unpacked = new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json().then(function (data) { pilotcity[to](name, data); });
  };

  function T(en, chinese) { return zh() ? chinese : en; }
  function load(path, then) {
    var script = make("script", { src: path });
    script.onload = function () { unpacked.then(then); };
    script.onerror = function () { place.replaceChildren(make("p", {}, [T("Not found: ", "未找到：") + path])); };
    document.head.append(script);
  }
  function none(value) { return value === null || value === undefined || Number.isNaN(value); }
  function number(value) {
    if (none(value)) { return T("no value", "无值"); }
    if (Math.abs(value) >= 1e5) { return value.toLocaleString("en-US", { maximumFractionDigits: 1 }); }
    return Number(value.toPrecision(6)).toLocaleString("en-US", { maximumFractionDigits: 15 });
  }
  function short(value) {
    return none(value) ? "" : Math.abs(value) >= 1e5 ? value.toLocaleString("en-US", { maximumFractionDigits: 0 }) : Number(value.toPrecision(4)).toLocaleString("en-US", { maximumFractionDigits: 12 });
  }
  function unitText(unit) { return (unit.slice(0, 1).toLowerCase() + unit.slice(1)).replace("10k_", "10,000 ").replace(/_/g, " "); }
  function withUnit(value, unit) { return (number(value) + " " + unitText(unit)).trim(); }
  function about(panel, column) { return (shared.panels[panel] && shared.panels[panel].columns[column]) || { en: column, zh: column, unit: "", definition: "" }; }
  function labelOf(panel, column) { var own = about(panel, column); return T(own.en, own.zh); }
  function nameOf(code) { var own = shared.cities[code] || [code, code]; return T(own[0] + " " + own[1], own[1]); }
  function node(title, lines, inputs, more) { return Object.assign({ title: title, lines: lines || [], inputs: inputs || [] }, more || {}); }

  // ---- formulas in numbers
  var OPERATORS = { "+": [1, function (a, b) { return a + b; }], "-": [1, function (a, b) { return a - b; }], "×": [2, function (a, b) { return a * b; }], "/": [2, function (a, b) { return a / b; }] };
  var COMPARISONS = { "=": function (a, b) { return a === b; }, "<>": function (a, b) { return a !== b; }, ">": function (a, b) { return a > b; }, ">=": function (a, b) { return a >= b; }, "<": function (a, b) { return a < b; }, "<=": function (a, b) { return a <= b; } };
  var INDICES = {
    industrial_structure_angle: function (a, b, c) {
      var length = Math.sqrt(a * a + b * b + c * c);
      return Math.min(a, b, c) < 0 || !length ? NaN : 3 * Math.acos(a / length) + 2 * Math.acos(b / length) + Math.acos(c / length);
    },
    revealed_comparative_advantage: function (cases, gdp, all, nation) { return (cases / gdp) / (all / nation); }
  };
  function reading(value, symbols, numbers, inputs, binding) { return { value: value, symbols: symbols, numbers: numbers, inputs: inputs || [], binding: binding === undefined ? 3 : binding }; }
  function all(readings) { return [].concat.apply([], readings.map(function (each) { return each.inputs; })); }

  function evaluate(tree, year, now, look) {
    if (typeof tree === "number") { return reading(tree, number(tree), number(tree)); }
    var head = tree[0], rest = tree.slice(1);
    function of(part, at) { return evaluate(part, at === undefined ? year : at, now, look); }
    function name(called, at, filled) {
      if (called === "year") { return reading(at, String(at), String(at)); }
      var value = look(called, at, filled);
      return reading(value, at === now ? called : called + "[" + at + "]", number(value), [[called, at, !!filled]]);
    }
    function condition(test) {
      var a, b;
      if (test[0] === "not") { a = condition(test[1]); return [a[0] === null ? null : !a[0], put(a[1], "not {}")]; }
      if (test[0] === "null") { a = of(test[1]); return [none(a.value), put(a, "{} is null")]; }
      if (test[0] === "and" || test[0] === "or") {
        a = condition(test[1]); b = condition(test[2]);
        var decides = test[0] === "or";
        var truth = a[0] === decides || b[0] === decides ? decides : a[0] === null || b[0] === null ? null : !decides;
        return [truth, join(a[1], test[0], b[1])];
      }
      a = of(test[1]); b = of(test[2]);
      return [none(a.value) || none(b.value) ? null : COMPARISONS[test[0]](a.value, b.value), join(a, test[0], b)];
    }
    function put(a, into) { return reading(NaN, into.replace("{}", a.symbols), into.replace("{}", a.numbers), a.inputs, 0); }
    function join(a, sign, b) { return reading(NaN, a.symbols + " " + sign + " " + b.symbols, a.numbers + " " + sign + " " + b.numbers, all([a, b]), 0); }
    switch (head) {
      case "n": return name(rest[0], year);
      case "@": return name(rest[0], rest[1]);
      case "lag": return of(rest[1], year - rest[0]);
      case "interpolated": return name(rest[0][1], year, true);
      case "neg": {
        var inner = of(rest[0]), wrap = inner.binding === 3 ? "-{}" : "-({})";
        return reading(-inner.value, wrap.replace("{}", inner.symbols), wrap.replace("{}", inner.numbers), inner.inputs, 1);
      }
      case "coalesce": {
        var last = reading(NaN, "", "");
        for (var index = 0; index < rest.length; index += 1) { last = of(rest[index]); if (!none(last.value)) { break; } }
        return last;
      }
      case "at": case "since":
        return (head === "at" ? year === rest[0] : year >= rest[0]) ? of(rest[1]) : reading(NaN, "nothing " + (head === "at" ? "but in " : "before ") + rest[0], number(NaN));
      case "case": {
        var conditions = [], chosen = rest[1], known = true;
        rest[0].some(function (branch) {
          var found = condition(branch[0]);
          conditions.push(found[1]);
          if (found[0] === null || found[0]) { chosen = branch[1]; known = found[0] !== null; return true; }
          return false;
        });
        var result = chosen !== null && known ? of(chosen) : reading(NaN, "nothing", "");
        var said = conditions.map(function (each) { return "(" + each.symbols + ": " + each.numbers + ")"; }).join(" and ");
        return reading(result.value, result.symbols + ", by " + said, result.numbers || number(NaN), all(conditions.concat([result])), 0);
      }
    }
    if (OPERATORS[head]) {
      var a = of(rest[0]), b = of(rest[1]), binding = OPERATORS[head][0], tight = binding + (head === "-" || head === "/" ? 1 : 0);
      var joined = function (x, y) { return (a.binding < binding ? "(" + x + ")" : x) + " " + head + " " + (b.binding < tight ? "(" + y + ")" : y); };
      var value = head === "/" && b.value === 0 ? NaN : OPERATORS[head][1](a.value, b.value);
      return reading(value, joined(a.symbols, b.symbols), joined(a.numbers, b.numbers), all([a, b]), binding);
    }
    var given = rest.map(function (part) { return of(part); }), values = given.map(function (each) { return each.value; }), made;
    if (values.some(none)) { made = NaN; }
    else if (head === "ln") { made = values[0] > 0 ? Math.log(values[0]) : NaN; }
    else if (head === "least") { made = Math.min.apply(null, values); }
    else if (head === "greatest") { made = Math.max.apply(null, values); }
    else { made = INDICES[head].apply(null, values); }
    return reading(made, head + "(" + given.map(function (e) { return e.symbols; }).join(", ") + ")", head + "(" + given.map(function (e) { return e.numbers; }).join(", ") + ")", all(given));
  }

  function neighbours(known, year, longest) {
    var before = known.filter(function (t) { return t < year; }), after = known.filter(function (t) { return t > year; });
    if (!before.length || !after.length) { return []; }
    var low = Math.max.apply(null, before), high = Math.min.apply(null, after);
    return !none(longest) && high - low - 1 > longest ? [] : [low, high];
  }
  function between(method, year, around, values) {
    return method === "linear" ? values[0] + (values[1] - values[0]) * (year - around[0]) / (around[1] - around[0]) : (values[0] + values[1]) / 2;
  }
  function filledIn(name, year, around, method) {
    return T("filled in: " + name + " has no value in " + year + "; " + (method === "linear" ? "on the line between " : "the mean of ") + around[0] + " and " + around[1],
      "插补：" + name + " 在" + year + "年无值，" + (method === "linear" ? "取" + around[0] + "年与" + around[1] + "年之间的线性插值" : "取" + around[0] + "年与" + around[1] + "年的均值"));
  }

  // ---- one city's values, each explained once
  function Trace(code) {
    this.code = code; this.city = cities[code]; this.nation = cities[NATION];
    this.memory = {}; this.shown = {}; this.told = {};
    this.years = [];
    for (var year = this.city.panels.city_year.first; year <= shared.panels.city_year.years[1]; year += 1) { this.years.push(year); }
  }
  Trace.prototype = {
    held: function (panel, column, year) {
      var own = this.city.panels[panel], series = own && own.values[column];
      var value = series && series[year - own.first - series[0] + 1];
      return !series || year - own.first < series[0] || none(value) ? NaN : value;
    },
    isFilled: function (panel, column, year) {
      var own = this.city.panels[panel];
      return ((own.filled || {})[column] || []).indexOf(year - own.first) >= 0;
    },
    declared: function (name) {
      var layers = shared.formulas;
      return (layers.intermediate && layers.intermediate[name]) || (layers.indicator && layers.indicator[name]) || { kind: "indicator", text: "", unit: "", en: name, zh: name };
    },
    value: function (name, year, filled) {
      var key = name + "|" + year + "|" + !!filled;
      if (!(key in this.memory)) { this.memory[key] = filled ? this.interpolated(name, year) : this.measured(name, year); }
      return this.memory[key];
    },
    measured: function (name, year) {
      if (year < this.years[0]) { return NaN; }
      var own = this.declared(name), self = this;
      if (own.kind === "formula") { return evaluate(own.tree, year, year, function (n, t, f) { return self.value(n, t, f); }).value; }
      if (own.kind === "records") {
        if (!this.records(COVERAGE[own.text][0], year).length) { return NaN; }
        return this.records(name, year).reduce(function (sum, row) { return sum + (row[5] ? 0 : row[2]); }, 0);
      }
      var used = this.cells(own, name, year).filter(function (cell) { return cell[5]; });
      if (used.length) { return used.reduce(function (sum, cell) { return sum + cell[4]; }, 0); }
      var kept = own.kind === "committed" && (shared.committed[name] || {})[year];
      return kept ? kept[0] : NaN;
    },
    interpolated: function (name, year) {
      var known = this.value(name, year), around = this.around(name, year), self = this;
      return !none(known) || !around.length ? known : between("linear", year, around, around.map(function (t) { return self.value(name, t); }));
    },
    around: function (name, year) {
      var self = this;
      return neighbours(this.years.filter(function (t) { return !none(self.value(name, t)); }), year);
    },
    cells: function (own, name, year) {
      return ((own.kind === "committed" ? this.nation : this.city).cells[name] || []).filter(function (cell) { return cell[0] === year; });
    },
    records: function (measure, year) {
      var nation = measure.indexOf("national") === 0 || measure === "patent_applications" || measure === "concluded_cases";
      return ((nation ? this.nation : this.city).records[measure] || []).filter(function (row) { return row[0] === year; });
    },
    aboutOnce: function (name, own) {
      if (this.told[name]) { return []; }
      this.told[name] = true;
      return own.en ? [T(own.en, own.zh || own.en)] : [];
    },
    nodes: function (inputs) {
      var seen = {}, self = this;
      return inputs.filter(function (each) { var key = each.join("|"); return seen[key] ? false : (seen[key] = true); }).map(function (each) { return self.node(each[0], each[1], each[2]); });
    },
    node: function (name, year, filled) {
      var own = this.declared(name), value = this.value(name, year, filled), self = this;
      var title = name + " = " + withUnit(value, own.unit) + ", " + year;
      if (filled && none(this.value(name, year)) && !none(value)) {
        var around = this.around(name, year);
        var aside = this.cells(own, name, year).filter(function (cell) { return cell[7]; }).map(function (cell) { return cell[8]; });
        return node(title + T(" (filled in)", "（插补）"), this.aboutOnce(name, own).concat([filledIn(name, year, around, "linear")], aside), this.nodes(around.map(function (t) { return [name, t, false]; })));
      }
      if (this.shown[name + "|" + year]) { return node(title + T(" (above)", "（见上）")); }
      this.shown[name + "|" + year] = true;
      var lines = this.aboutOnce(name, own);
      if (own.kind === "formula") {
        var made = evaluate(own.tree, year, year, function (n, t, f) { return self.value(n, t, f); });
        // a series that builds on its own year before is told from its beginning, as one list
        var behind = this.nodes(made.inputs), chain = [];
        behind.forEach(function (each) { if (each.of === name) { chain = chain.concat(unrolled(each)); } });
        return node(title, lines.concat(written(made)), chain.concat(behind.filter(function (each) { return each.of !== name; })), { of: name });
      }
      if (own.kind === "records") { return this.counted(name, own, year, title, lines); }
      var cells = this.cells(own, name, year), used = cells.filter(function (cell) { return cell[5]; });
      var inputs = cells.map(function (cell) { return self.cell(cell, own.unit, used); });
      var kept = own.kind === "committed" && (shared.committed[name] || {})[year];
      if (used.length > 1) { lines.push(T("the sum of units that were apart in that year", "当年尚未合并的各单位之和")); }
      else if (!used.length && kept) { inputs.push(node(kept[1] + ": " + number(kept[0]) + "; " + kept[2] + " (" + kept[3] + ")", [], [], { leaf: true })); }
      else if (!used.length) { lines.push(cells.length ? T("nothing counts of what the files have", "文件中的数据均未采用") : T("no file has it", "没有文件含该数据")); }
      this.city.changes.forEach(function (change) { if (change[2] === name && change[0] === year) { lines.push(T("change of caliber: ", "口径变化：") + change[3]); } });
      return node(title, lines, inputs);
    },
    cell: function (cell, unit, used) {
      var header = shared.headers[cell[1]], other = cell[6], lines = [];
      var sheet = header[1] ? T(", sheet ", "，工作表 ") + header[1] : "";
      var title = (other ? (other[1] || other[0]) + ": " : "") + shared.files[header[0]] + sheet + T(", row ", "，行 ") + cell[2] + T(", column ", "，列 ") + header[2] + " (" + header[3] + "): '" + cell[3] + "' " + (header[4] || "");
      title = title.trim();
      if (!cell[7] && !none(cell[4])) { title += (header[5] === 1 ? "" : " × " + number(header[5])) + " = " + withUnit(cell[4], unit); }
      if (!cell[5]) {
        lines.push(cell[7] ? T("set aside (", "剔除（") + cell[7] + T("): ", "）：") + (cell[8] || "") : used.length ? T("not counted: a more trusted source or the city's own value has it", "未采用：更可信的来源或本市数值已包含") : T("not counted", "未采用"));
      }
      if (header[7]) { lines.push(T("under this header: ", "表头含义：") + header[7]); }
      return node(title + " [" + header[6] + "]", lines, [], { leaf: true, aside: !cell[5] });
    },
    counted: function (name, own, year, title, lines) {
      var covering = COVERAGE[own.text], covered = this.records(covering[0], year).reduce(function (sum, row) { return sum + row[2]; }, 0), self = this;
      lines.push(covered ? T("of " + number(covered) + " " + covering[1] + " in " + year + " in the files", "文件中" + year + "年共" + number(covered) + covering[2]) : T("no file covers " + year, "没有文件覆盖" + year + "年"));
      return node(title, lines, this.records(name, year).map(function (row) {
        var file = shared.files[row[1]], unit = row[6] ? T(" of ", "，单位") + row[6] : "";
        var text = file + ": " + number(row[2]) + T(" records", "条记录") + unit + T(", rows ", "，行 ") + row[3] + (row[2] > 5 ? " … " + row[4] : "") + " [" + (shared.sources[file] || "") + "]";
        return node(row[5] ? T("set aside (", "剔除（") + row[5] + T("): ", "）：") + text : text, [], [], { leaf: true, aside: !!row[5] });
      }));
    },
    // a value of city_year
    column: function (column, year) {
      var own = (shared.formulas.panel || {})[column], held = this.held("city_year", column, year), self = this;
      if (!own) {
        var lines = this.city.changes.filter(function (change) { return change[0] === year; }).map(function (change) { return change[0] + ": " + change[3]; });
        return node(column + " = " + number(held) + ", " + year, lines);
      }
      var title = column + " = " + withUnit(held, own.unit) + ", " + year;
      if (this.shown["city_year." + column + "|" + year]) { return node(title + T(" (above)", "（见上）")); }
      this.shown["city_year." + column + "|" + year] = true;
      if (own.kind === "entropy") {
        return node(title, this.aboutOnce(column, own).concat([T("entropy index of ", "熵值法指数：") + own.parts.join(", ")]), own.parts.map(function (part) { return self.column(part, year); }));
      }
      var made = evaluate(own.tree, year, year, function (n, t, f) { return self.value(n, t, f); });
      return node(title, this.aboutOnce(column, own).concat(written(made), differs(held, made.value)), this.nodes(made.inputs));
    },
    // a value of city_year within a panel's years, filled where the specification fills it
    within: function (panel, column, year, method, longest) {
      var span = shared.panels[panel].years, self = this, known = [];
      for (var t = span[0]; t <= span[1]; t += 1) { if (!none(this.held("city_year", column, t))) { known.push(t); } }
      var around = known.indexOf(year) >= 0 ? [] : neighbours(known, year, longest);
      if (!around.length || method === "none") { return this.column(column, year); }
      var value = between(method, year, around, around.map(function (t) { return self.held("city_year", column, t); }));
      return node(column + " = " + withUnit(value, (shared.formulas.panel[column] || { unit: "" }).unit) + ", " + year + T(" (filled in)", "（插补）"), [filledIn(column, year, around, method)], around.map(function (t) { return self.column(column, t); }));
    },
    score: function (panel, column) {
      var found = null;
      (shared.scores[panel] || []).forEach(function (each) { if (column in each.columns) { found = { name: each.name, how: each.how, frontier: each.columns[column] }; } });
      return found;
    },
    scored: function (panel, made, year) {
      var key = panel + "|" + made.name + "|" + made.frontier, own = (this.city.scores[key] || {})[year], self = this, how = made.how;
      if (!own) { return node(made.name + " = " + number(NaN) + ", " + year + T(": not scored", "：未评分")); }
      var lines = [
        T("super-efficiency SBM with bad outputs: returns ", "含非期望产出的超效率SBM：规模报酬 ") + how.returns + T(", orientation ", "，导向 ") + how.orientation,
        T("frontier ", "前沿 ") + made.frontier + T("; SBM score ", "；SBM得分 ") + number(own[1]) + (own[2] ? T(", efficient", "，有效") : T(", not efficient", "，无效")) + T("; status ", "；状态 ") + own[3]
      ], inputs = [];
      Object.keys(ROLES).forEach(function (part) {
        (how[part] || []).forEach(function (column) {
          var each = self.within(panel, column, year, how.interpolate, how.max_gap);
          inputs.push(Object.assign({}, each, { title: T(ROLES[part][0], ROLES[part][1]) + " " + each.title }));
        });
      });
      return node(made.name + " = " + number(own[0]) + ", " + year, lines, inputs);
    },
    // a value of a study's panel
    panel: function (panel, column, year) {
      if (panel === "city_year") { return this.column(column, year); }
      var own = about(panel, column), held = this.held(panel, column, year), self = this, wide = this.city.panels[panel];
      var mark = this.isFilled(panel, column, year) ? T(" (filled in)", "（插补）") : "";
      var title = column + " = " + withUnit(held, own.unit) + ", " + year + mark;
      if (!own.from && !own.formula) {
        var mine = this.city.policies.filter(function (row) { return row.study === panel && (column === "adoption" ? row.is_treatment : row.column_name === column); });
        if (column === "borders_merged" || column === "borders_changed") { return this.column(column, year); }
        var why = mine.length ? [] : [T("the policy's list in data/policies does not have this city", "data/policies 中的政策名单没有该城市")];
        return node(title, why, mine.map(function (row) {
          var note = row.note ? "; " + row.note : "";
          return node("data/policies/" + row.policy + ".csv: " + T("first treated ", "首个处理年份 ") + row.adoption + ", " + row.scope + "; " + row.source + " (" + row.certainty + ")" + note + (row.counts ? "" : T("; the study does not count this scope", "；该范围不计入本研究")), [], [], { leaf: true });
        }));
      }
      var score = this.score(panel, own.from), lines = [T(own.en, own.zh) + "; " + (own.formula ? T("made of ", "由公式 ") + own.formula : T("drawn from ", "取自 ") + own.from)], inputs = [];
      if (own.lacks) { lines.push(T("Not every step can be shown: ", "部分步骤无法显示：") + own.lacks); }
      if (own.weights) { lines.push(own.weights); }
      var last = wide.first + (shared.panels[panel].years[1] - shared.panels[panel].years[0]);
      function source(t) {
        if (score) { var one = (self.city.scores[panel + "|" + score.name + "|" + score.frontier] || {})[t]; return one ? one[0] : NaN; }
        if (own.tree) { return evaluate(own.tree, t, t, function (n, at) { return self.held("city_year", n, at); }).value; }
        return self.held("city_year", own.from, t);
      }
      var known = [];
      for (var t = wide.first; t <= last; t += 1) { if (!none(source(t))) { known.push(t); } }
      var lag = own.lag || 0, changes = own.change && own.change !== "none", scaled = [];
      (changes ? [year - lag, year - lag - 1] : [year - lag]).forEach(function (of) {
        var value = source(of), around = [];
        if (own.parts && own.parts.length) {
          own.parts.forEach(function (part) { inputs.push(self.within(panel, part, of, own.interpolate, own.max_gap)); });
          return;
        }
        if (none(value) && own.interpolate !== "none") {
          around = neighbours(known, of, own.max_gap);
          if (around.length) { value = between(own.interpolate, of, around, around.map(source)); lines.push(filledIn(own.from, of, around, own.interpolate)); }
        }
        (around.length ? around : [of]).forEach(function (at) {
          if (score) { inputs.push(self.scored(panel, score, at)); }
          else if (own.tree) {
            var made = evaluate(own.tree, at, at, function (n, y) { return self.held("city_year", n, y); });
            inputs.push(node(column + " = " + number(made.value) + ", " + at + ": " + own.formula, written(made), made.inputs.map(function (each) { return self.column(each[0], each[1]); })));
          } else { inputs.push(self.column(own.from, at)); }
        });
        var symbol = SYMBOLS[own.scale], result = value;
        if (symbol) {
          result = own.scale === "log" ? Math.log(value) : own.scale === "log1p" ? Math.log1p(value) : Math.asinh(value);
          lines.push(T(symbol[0], symbol[1]) + (of === year ? "" : " " + of) + ": " + symbol[2].replace("{}", number(value)) + " = " + number(result));
        }
        scaled.push(result);
      });
      var now = scaled[0];
      if (changes && scaled.length === 2) {
        now = own.change === "growth" ? scaled[0] / scaled[1] - 1 : scaled[0] - scaled[1];
        lines.push(T(own.change, own.change === "growth" ? "增长率" : "差分") + ": " + number(scaled[0]) + (own.change === "growth" ? " / " : " − ") + number(scaled[1]) + " = " + number(now));
      }
      if (lag) { lines.push(T("lagged: the value of " + (year - lag), "滞后：" + (year - lag) + "年的值")); }
      if (own.limits) {
        var moved = !none(now) && (now < own.limits[0] || now > own.limits[1]);
        lines.push(T("winsorised at ", "缩尾 ") + own.shares.map(function (s) { return Number((s * 100).toPrecision(6)) + "%"; }).join(T(" and ", "与")) + T(" of all rows, ", "，界限 ") + own.limits.map(number).join(T(" and ", "与")) + ": " + (moved ? T("moved from ", "调整前为 ") + number(now) : none(now) && own.parts.length ? number(held) : T("unchanged", "未变")));
        if (!none(now)) { now = Math.min(Math.max(now, own.limits[0]), own.limits[1]); }
      }
      if (own.standardise) { lines.push(T("standardised over all rows: (", "标准化：(") + number(now) + " − " + number(own.mean) + ") / " + number(own.deviation)); now = (now - own.mean) / own.deviation; }
      if (!(own.parts && own.parts.length)) { lines = lines.concat(differs(held, now)); }
      return node(title, lines, inputs);
    }
  };
  function unrolled(found) {
    var earlier = found.inputs.filter(function (each) { return each.of === found.of; });
    return earlier.concat([Object.assign({}, found, { inputs: found.inputs.filter(function (each) { return each.of !== found.of; }) })]);
  }
  function written(made) { return /^\w+$/.test(made.symbols) ? [] : ["= " + made.symbols + " = " + made.numbers]; }
  function differs(published, computed) {
    if (none(published) && none(computed) || Math.abs(published - computed) <= 1e-7 * Math.max(Math.abs(published), Math.abs(computed))) { return []; }
    return [T("NOT REPRODUCED: these steps give ", "未能复现：以上步骤得到 ") + number(computed)];
  }

  // ---- what is shown
  function tree(found, open) {
    var body = [make("span", { "class": found.leaf ? found.aside ? "cell aside" : "cell" : "value" }, [found.title])];
    found.lines.forEach(function (line) { body.push(make("div", { "class": "line" }, [line])); });
    if (!found.inputs.length) { return make("li", {}, body); }
    var list = make("ul", {}, found.inputs.map(function (each) { return tree(each, open - 1); }));
    var details = make("details", open > 0 ? { open: "" } : {}, [make("summary", {}, [body[0]])].concat(body.slice(1), [list]));
    return make("li", {}, [details]);
  }
  function link(href, text, attributes) { return make("a", Object.assign({ href: href }, attributes || {}), [text]); }
  function heading(id, text) { return make("h2", { id: id }, [text]); }
  function table(heads, rows, caption) {
    var made = make("table", { "class": "list" }, [
      make("caption", { "class": "hidden" }, [caption]),
      make("thead", {}, [make("tr", {}, heads.map(function (head) { return make("th", { scope: "col", "class": head[1] || "" }, [head[0]]); }))]),
      make("tbody", {}, rows)
    ]);
    return make("div", { "class": "scroll", tabindex: "0", role: "region", "aria-label": caption }, [made]);
  }
  function series(code, panel, column, first, values, filled, years) {
    return years.map(function (year) {
      var at = year - first, value = values[at];
      if (none(value)) { return make("td", { "class": "number" }); }
      var mark = filled.indexOf(at) >= 0;
      var door = link("city.html#" + code + "/" + panel + "." + column + "/" + year, short(value) + (mark ? "°" : ""), { "class": "door" });
      return make("td", { "class": mark ? "number filled" : "number" }, [door]);
    });
  }
  function facts(pairs) {
    var list = make("dl");
    pairs.forEach(function (pair) { if (pair[1] && (pair[1].length === undefined || pair[1].length)) { list.append(make("dt", {}, [pair[0]]), make("dd", {}, [].concat(pair[1]))); } });
    return list;
  }
  function titled(text) {
    document.title = text;
    document.querySelector("h1").textContent = text;
  }
  function range(first, last) { var found = []; for (var t = first; t <= last; t += 1) { found.push(t); } return found; }
  function told() { return make("p", { "class": "quiet" }, [T("A number leads to the cells that it came from; ° and italics mark values that were filled in.", "点击数字可查看其来源单元格；°与斜体表示插补值。")]); }

  function city(code, door, year) {
    var own = cities[code], about_ = shared.cities[code];
    titled(nameOf(code));
    var shown = [];
    if (door) {
      var dot = door.indexOf("."), panel = door.slice(0, dot), column = door.slice(dot + 1);
      var found = new Trace(code).panel(panel, column, Number(year));
      var section = make("section", { id: "trace", "class": "trace", tabindex: "-1", "aria-labelledby": "trace-title" }, [
        heading("trace-title", T("Where this number comes from", "该数字的来源")),
        make("p", {}, [labelOf(panel, column) + ", " + nameOf(code) + ", " + year + " (", link("variable.html#" + panel + "." + column, "panels." + panel + "." + column), ")"]),
        make("ul", { "class": "tree" }, [tree(found, 6)])
      ]);
      shown.push(section);
    }
    var policies = {};
    own.policies.forEach(function (row) { policies[row.policy] = row; });
    shown.push(facts([
      [T("Code", "代码"), code], [T("Province", "省份"), about_[2]], [T("Region", "区域"), about_[3]],
      [T("Pilots", "试点"), Object.keys(policies).sort().map(function (name) { var row = policies[name]; return make("div", {}, [name.replace(/_/g, " ") + ": " + T("since ", "自") + row.adoption + T("", "年") + ", " + row.scope + " (" + row.certainty + ")"]); })],
      [T("Borders", "区划"), own.changes.filter(function (change) { return change[1] === "borders" || change[1] === "merger"; }).map(function (change) { return make("div", {}, [change[0] + ": " + change[3]]); })]
    ]));
    shown.push(told());
    Object.keys(own.panels).sort(function (a, b) { return (a === "city_year") - (b === "city_year") || (a < b ? -1 : 1); }).forEach(function (panel) {
      var part = own.panels[panel], names = Object.keys(part.values), span = shared.panels[panel].years;
      // a variable of one year alone does not make the table start there
      var starts = names.filter(function (name) { return part.values[name].length > 2; }).map(function (name) { return part.values[name][0]; });
      var first = part.first + (starts.length ? Math.min.apply(null, starts) : 0), years = range(first, span[1]);
      var rows = names.map(function (name) {
        var values = part.values[name], spread = [];
        for (var i = 0; i < values[0]; i += 1) { spread.push(null); }
        spread = spread.concat(values.slice(1));
        return make("tr", {}, [make("th", { scope: "row" }, [link("variable.html#" + panel + "." + name, labelOf(panel, name))])].concat(series(code, panel, name, part.first, spread, part.filled[name] || [], years)));
      });
      var heads = [[T("variable", "变量")]].concat(years.map(function (year) { return [String(year), "number"]; }));
      shown.push(heading("panel-" + panel, panel === "city_year" ? T("All variables, as measured", "全部变量（原始口径）") : T("Panel of ", "面板：") + panel), table(heads, rows, panel));
    });
    var cells = [];
    Object.keys(own.cells).sort().forEach(function (name) {
      own.cells[name].forEach(function (cell) {
        var header = shared.headers[cell[1]];
        var texts = [name, String(cell[0]), cell[3] + " " + (header[4] || ""), shared.files[header[0]], header[1] || "", String(cell[2]), header[2], header[3], cell[5] ? T("used", "采用") : cell[7] ? T("set aside: ", "剔除：") + cell[7] : T("not counted", "未采用")];
        cells.push(make("tr", {}, texts.map(function (text, at) { return make(at ? "td" : "th", at ? at === 1 || at === 5 ? { "class": "number" } : {} : { scope: "row" }, [text]); })));
      });
    });
    var heads = [[T("indicator", "指标")], [T("year", "年份"), "number"], [T("printed", "原文")], [T("file", "文件")], [T("sheet", "工作表")], [T("row", "行"), "number"], [T("column", "列")], [T("header", "表头")], [T("counts", "是否采用")]];
    shown.push(heading("cells", T("Raw cells", "原始单元格")), table(heads, cells, T("Raw cells", "原始单元格")));
    place.replaceChildren.apply(place, shown);
    place.querySelectorAll("table").forEach(pilotcity.long);
    if (door) { document.getElementById("trace").scrollIntoView(); document.getElementById("trace").focus({ preventScroll: true }); }
  }

  function variable(name) {
    var dot = name.indexOf("."), panel = name.slice(0, dot), column = name.slice(dot + 1), own = about(panel, column), data = columns[name];
    titled(T(own.en, own.zh));
    var codes = Object.keys(data.cities).sort(), years = data.years, first = years[0], low = null, high = null, known = 0, filled = 0;
    codes.forEach(function (code) {
      filled += (data.cities[code][1] || []).length;
      data.cities[code][0].forEach(function (value, at) {
        if (none(value)) { return; }
        known += 1;
        if (!low || value < low[0]) { low = [value, code, first + at]; }
        if (!high || value > high[0]) { high = [value, code, first + at]; }
      });
    });
    function extreme(found) { return found ? [link("city.html#" + found[1] + "/" + name + "/" + found[2], number(found[0]), { "class": "door" }), " (" + nameOf(found[1]) + ", " + found[2] + ")"] : ""; }
    var panelFormula = (shared.formulas.panel || {})[own.from || column];
    var from = own.from && own.from !== column && shared.panels.city_year.columns[own.from] ? [link("variable.html#city_year." + own.from, "panels.city_year." + own.from)] : "";
    var sources = (own.sources || "").split(/[,;]\s*/).filter(Boolean).map(function (source) {
      var about_ = shared.contracts[source];
      return make("div", {}, [source + (about_ ? ": " + T(about_[0], about_[1]) + "; " + about_[2] + T("; licence: ", "；许可：") + about_[3] : "")]);
    });
    var shown = [facts([
      [T("Column", "列名"), "panels." + name], [T("Unit", "单位"), own.unit], [T("What it is", "含义"), own.definition],
      [T("Formula", "公式"), own.formula || (panelFormula && panelFormula.text) || ""], [T("Drawn from", "取自"), from], [T("Sources", "来源"), sources],
      [T("Values", "取值"), T(known.toLocaleString("en-US") + " values of " + codes.length + " cities, " + first + "–" + years[years.length - 1] + "; " + filled + " filled in", codes.length + "个城市，" + first + "–" + years[years.length - 1] + "年，共" + known + "个值，其中插补" + filled + "个")],
      [T("Smallest", "最小值"), extreme(low)], [T("Largest", "最大值"), extreme(high)]
    ]), chart(codes, data, first), told()];
    var rows = codes.map(function (code) {
      var head = make("th", { scope: "row" }, [link("city.html#" + code, nameOf(code))]);
      var since = data.adoption[code];
      return make("tr", {}, [head, make("td", { "class": "number" }, [since ? String(since) : ""])].concat(series(code, panel, column, first, data.cities[code][0], data.cities[code][1] || [], years)));
    });
    var heads = [[T("city", "城市")], [T("pilot since", "试点年份"), "number"]].concat(years.map(function (year) { return [String(year), "number"]; }));
    shown.push(heading("values", T("Values by city and year", "各城市各年取值")), table(heads, rows, T("Values by city and year", "各城市各年取值")));
    place.replaceChildren.apply(place, shown);
    place.querySelectorAll("table").forEach(pilotcity.long);
  }

  // means by year of cities that ever were pilots and of the others
  function chart(codes, data, first) {
    var groups = [[], []], names = [T("pilot cities", "试点城市"), T("other cities", "其他城市")];
    data.years.forEach(function (year, at) {
      [0, 1].forEach(function (group) {
        var values = codes.filter(function (code) { return !!data.adoption[code] === (group === 0); }).map(function (code) { return data.cities[code][0][at]; }).filter(function (v) { return !none(v); });
        if (values.length) { groups[group].push([year, values.reduce(function (a, b) { return a + b; }, 0) / values.length]); }
      });
    });
    var points = groups[0].concat(groups[1]);
    if (data.years.length < 2 || !points.length) { return make("p"); }
    var low = Math.min.apply(null, points.map(function (p) { return p[1]; })), high = Math.max.apply(null, points.map(function (p) { return p[1]; }));
    var W = 560, H = 200, L = 70, B = 24, span = high - low || 1, last = data.years[data.years.length - 1];
    function x(year) { return L + (year - first) / (last - first) * (W - L - 10); }
    function y(value) { return 10 + (high - value) / span * (H - 10 - B); }
    var svg = '<svg class="drawing" role="img" viewBox="0 0 ' + W + " " + H + '" aria-label="' + T("Means by year", "各年均值") + '">';
    [low, high].forEach(function (value) { svg += '<text x="' + (L - 6) + '" y="' + (y(value) + 4) + '" text-anchor="end" font-size="11">' + short(value) + "</text>"; });
    [first, last].forEach(function (year) { svg += '<text x="' + x(year) + '" y="' + (H - 6) + '" text-anchor="' + (year === first ? "start" : "end") + '" font-size="11">' + year + "</text>"; });
    groups.forEach(function (group, at) {
      if (!group.length) { return; }
      svg += '<polyline fill="none" stroke="#1c1c1c" stroke-width="1.5"' + (at ? ' stroke-dasharray="5 4"' : "") + ' points="' + group.map(function (p) { return x(p[0]).toFixed(1) + "," + y(p[1]).toFixed(1); }).join(" ") + '"/>';
      group.forEach(function (p) { svg += '<circle cx="' + x(p[0]).toFixed(1) + '" cy="' + y(p[1]).toFixed(1) + '" r="3" fill="' + (at ? "#fff" : "#1c1c1c") + '" stroke="#1c1c1c"><title>' + p[0] + ", " + names[at] + ": " + number(p[1]) + "</title></circle>"; });
    });
    var holder = make("figure");
    holder.innerHTML = svg + "</svg>";
    holder.append(make("figcaption", { "class": "told" }, [T("Means by year: ", "各年均值：") + (groups[0].length ? "● " + names[0] + "   " : "") + (groups[1].length ? "○ " + names[1] : "")]));
    return holder;
  }

  function show() {
    var parts = decodeURIComponent(location.hash.slice(1)).split("/");
    if (!parts[0]) { place.replaceChildren(make("p", {}, [link(kind === "city" ? "cities.html" : "dictionary.html", T("Choose from the list", "请从列表中选择"))])); return; }
    if (kind === "city") {
      if (!shared.cities[parts[0]]) { place.replaceChildren(make("p", {}, [T("No city has the code ", "没有城市的代码为 ") + parts[0]])); return; }
      var ready = function () { city(parts[0], parts[1], parts[2]); };
      var own = function () { if (cities[NATION]) { ready(); } else { load("trace/cities/" + NATION + ".js", ready); } };
      if (cities[parts[0]]) { own(); } else { load("trace/cities/" + parts[0] + ".js", own); }
    } else if (columns[parts[0]]) { variable(parts[0]); } else { load("trace/columns/" + parts[0] + ".js", function () { variable(parts[0]); }); }
  }
  window.addEventListener("hashchange", show);
  document.addEventListener("language", show);
  load("trace/shared.js", show);
})();

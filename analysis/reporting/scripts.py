"""The R script and the Stata do-file that compute a table from the exported panel, as an economist would write them.

They read exports/<study>.csv and .dta, whose columns include the groups, leads and interactions of the study's models.
Where a method has no counterpart, the script says so instead of computing something else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from analysis.names import ADOPTION, TIME, UNIT
from analysis.printing.table import SAMPLE_NOTE, display_name
from analysis.reporting.stata_names import stata_names
from analysis.studies.records import Exhibit, Model, Study

#: Methods that have a counterpart, by what is needed beside R or Stata themselves.
NEEDS = {
    "two_way": ("fixest, else base R", "reghdfe"),
    "event_study": ("fixest, else base R", "reghdfe"),
    "two_stage": ("fixest", "ivreghdfe"),
    "callaway_santanna": ("did", "csdid"),
    "sun_abraham": ("fixest", "eventstudyinteract"),
    "imputation": ("didimputation", "did_imputation"),
}
_R_HELPER = """\
# A regression with fixed effects and clustered errors, degrees of freedom as Stata's reghdfe counts them.
effects_regression <- function(y, x, effects, cluster, data) {
  data <- data[complete.cases(data[, unique(c(y, x, effects, cluster))]), ]
  quoted <- sprintf("`%s`", x)
  if (requireNamespace("fixest", quietly = TRUE)) {
    plus <- function(names) paste(sprintf("`%s`", names), collapse = " + ")
    right <- if (length(effects)) paste("|", plus(effects)) else ""
    model <- fixest::feols(as.formula(paste0("`", y, "` ~ ", paste(quoted, collapse = " + "), right)), data,
                           vcov = as.formula(paste("~", plus(cluster))), notes = FALSE)
    found <- fixest::coeftable(model)
    rownames(found) <- gsub("`", "", rownames(found))
    return(data.frame(term = rownames(found), estimate = found[, 1], se = found[, 2], n = model$nobs))
  }
  # without fixest: effects swept out by alternating projections, clustered errors by hand (one level)
  repeat {  # rows that are alone in a level of an effect say nothing
    alone <- Reduce(`|`, lapply(effects, function(e) ave(rep(1, nrow(data)), data[[e]], FUN = length) == 1), FALSE)
    if (!any(alone)) break
    data <- data[!alone, ]
  }
  swept <- as.matrix(data[, c(y, x)])
  for (round in 1:10000) {
    before <- swept
    for (e in effects) swept <- swept - apply(swept, 2, function(v) ave(v, data[[e]]))
    if (length(effects) < 2 || max(abs(swept - before)) < 1e-12) break
  }
  right <- swept[, x, drop = FALSE]
  if (!length(effects)) right <- cbind(right, const = 1)
  kept <- qr(right)$pivot[seq_len(qr(right)$rank)]
  right <- right[, sort(kept), drop = FALSE]
  beta <- solve(crossprod(right), crossprod(right, swept[, y]))
  scores <- rowsum(right * as.vector(swept[, y] - right %*% beta), data[[cluster[1]]])
  inside <- function(e) all(tapply(as.character(data[[cluster[1]]]), data[[e]], function(v) length(unique(v)) == 1))
  nested <- vapply(effects, inside, TRUE)
  levels <- vapply(effects, function(e) length(unique(data[[e]])), 1)
  k <- ncol(right) + sum(pmax(levels[!nested] - 1, 0)) + (length(effects) > 0)
  g <- nrow(scores); n <- nrow(data)
  bread <- solve(crossprod(right))
  covariance <- bread %*% crossprod(scores) %*% bread * g / (g - 1) * (n - 1) / (n - k)
  data.frame(term = colnames(right), estimate = as.vector(beta), se = sqrt(diag(covariance)), n = n)
}
"""


def r(study: Study, exhibit: Exhibit, *, is_sample: bool) -> str:
    """The R script of a table: it reads <study>.csv beside it, prints each column and leaves all in ``results``."""
    head = [
        *_about(study, exhibit, "#", is_sample),
        f"# Packages: {_packages(exhibit, 0) or 'none'}.",
        "arguments <- commandArgs(trailingOnly = TRUE)",
        f'file <- if (length(arguments)) arguments[1] else "{study.name}.csv"',
        f'panel <- read.csv(file, check.names = FALSE, encoding = "UTF-8", colClasses = c({_quoted(_unit(study))}'
        ' = "character"))',
        "results <- list()",
        "",
    ]
    body = []
    for model in exhibit.models:
        written = _R.get(model.method)
        body.append(f"# {model.label}: {model.outcome or exhibit.kind}")
        why = _why_not(study, model)
        if written is None or why:
            body += [f"# {why or _no_counterpart(model)}", ""]
            continue
        body += [f"rows <- {_r_rows(study, model)}", *written(study, model), ""]
        body += [f"results[[{_quoted(model.label)}]] <- found; print(found, row.names = FALSE)", ""]
    helper = [_R_HELPER] if any(model.method in ("two_way", "event_study") for model in exhibit.models) else []
    return "\n".join([*head, *helper, *body])


def stata(study: Study, exhibit: Exhibit, *, is_sample: bool) -> str:
    """The do-file of a table: it reads <study>.dta beside it and stores each column."""
    lines = [
        *_about(study, exhibit, "*", is_sample),
        f"* Packages (ssc install): {_packages(exhibit, 1) or 'none'}.",
        "version 16",
        f'use "{study.name}.dta", clear',
        "",
    ]
    for number, model in enumerate(exhibit.models, start=1):
        written = _STATA.get(model.method)
        lines.append(f"* {model.label}: {model.outcome or exhibit.kind}")
        why = _why_not(study, model)
        if written is None or why:
            lines += [f"* {why or _no_counterpart(model)}", ""]
            continue
        lines += ["preserve", *_stata_rows(study, model), *written(study, model)]
        lines += [f"estimates store m{number}", "restore", ""]
    return "\n".join(lines)


def _about(study: Study, exhibit: Exhibit, mark: str, is_sample: bool) -> list[str]:
    text = f"{display_name(exhibit.name)} of {study.name}: {exhibit.title.en}"
    data = f"Data: {study.name}.csv or .dta, from exports/ of the report or: pilotcity panel {study.name}"
    return [*([f"{mark} {SAMPLE_NOTE}"] if is_sample else []), f"{mark} {text}", f"{mark} {data}"]


def _packages(exhibit: Exhibit, place: int) -> str:
    methods = dict.fromkeys(model.method for model in exhibit.models if model.method in NEEDS)
    return "; ".join(dict.fromkeys(NEEDS[method][place] for method in methods))


def _no_counterpart(model: Model) -> str:
    return f"{model.method} has no counterpart that computes the same; pilotcity replicate computes it."


def _why_not(study: Study, model: Model) -> str:
    if model.panel:
        return f"This column is estimated on the panel {model.panel}; write it with: pilotcity panel {model.panel}"
    return ""


def _unit(study: Study) -> str:
    return study.panel.unit if study.panel else UNIT


def _time(study: Study) -> str:
    return study.panel.time if study.panel else TIME


def _column(study: Study, name: str) -> str:
    """A column of the exported panel: keys under the names that a file gives them."""
    own = {"unit": _unit(study), "time": _time(study), UNIT: _unit(study), TIME: _time(study)}
    back = {inside: written for written, inside in study.panel.aliases.items()} if study.panel else {}
    return own.get(name) or back.get(name, name)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _vector(names: Iterable[str]) -> str:
    return f"c({', '.join(map(_quoted, names))})"


def _value(value: object) -> str:
    return _quoted(value) if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else str(value)


def _r_rows(study: Study, model: Model) -> str:
    """Conditions on rows, as in the column's sample."""
    tests = []
    if model.sample.years:
        first, last = model.sample.years
        tests.append(f"panel[[{_quoted(_time(study))}]] >= {first} & panel[[{_quoted(_time(study))}]] <= {last}")
    if model.sample.exclude_cities:
        tests.append(f"!(panel[[{_quoted(_unit(study))}]] %in% {_vector(model.sample.exclude_cities)})")
    for column, values in model.sample.where.items():
        listed = ", ".join("TRUE" if v is True else "FALSE" if v is False else _value(v) for v in values)
        left = f"panel[[{_quoted(_column(study, column))}]]"
        if all(isinstance(v, bool) for v in values):
            left, listed = f"(tolower({left}) %in% c('true', '1'))", listed
        tests.append(f"{left} %in% c({listed})")
    return f"panel[which({' & '.join(tests)}), ]" if tests else "panel"


def _r_two_way(study: Study, model: Model) -> list[str]:
    x = [_column(study, name) for name in (*model.treatments, *model.controls)]
    return [_r_call(study, model, x)]


def _r_call(study: Study, model: Model, x: Sequence[str]) -> str:
    effects, cluster = ([_column(study, name) for name in names] for names in (model.fixed_effects, model.cluster))
    given = [_quoted(_column(study, model.outcome)), _vector(x), _vector(effects), _vector(cluster), "rows"]
    return f"found <- effects_regression({', '.join(given)})"


def _periods(model: Model) -> list[int]:
    leads, lags, base = (int(model.options[name]) for name in ("leads", "lags", "base"))
    return [period for period in range(-leads, lags + 1) if period != base]


def _r_event_study(study: Study, model: Model) -> list[str]:
    leads, lags = int(model.options["leads"]), int(model.options["lags"])
    time = f"rows[[{_quoted(_time(study))}]]"
    made = [f"since <- pmin(pmax({time} - rows[[{_quoted(ADOPTION)}]], {-leads}), {lags})  # ends pool what is beyond"]
    names = [f"period {period}" for period in _periods(model)]
    made += [
        f"for (p in c({', '.join(map(str, _periods(model)))})) "
        'rows[[paste("period", p)]] <- as.numeric(!is.na(since) & since == p)'
    ]
    x = [*names, *(_column(study, name) for name in model.controls)]
    return [*made, _r_call(study, model, x)]


def _r_two_stage(study: Study, model: Model) -> list[str]:
    since = model.options["since"]
    after = f"rows[[{_quoted(ADOPTION)}]]" if since == "adoption" else str(since)

    def q(name: str) -> str:
        return f"`{_column(study, name)}`"

    right = " + ".join(map(q, model.controls)) or "1"
    effects = " + ".join(map(q, model.fixed_effects))
    cluster = " + ".join(map(q, model.cluster))
    instrument = _quoted(_column(study, model.options["instrument"]))
    made = f"rows$iv <- rows[[{instrument}]] * (rows[[{_quoted(_time(study))}]] >= {after})"
    first = model.options.get("stage") == "first"
    formula = (
        f"{q(model.treatment)} ~ iv + {right} | {effects}"
        if first
        else f"{q(model.outcome)} ~ {right} | {effects} | {q(model.treatment)} ~ iv"
    )
    return [
        made,
        f"model <- fixest::feols({formula}, rows, vcov = ~{cluster})",
        "found <- data.frame(term = rownames(fixest::coeftable(model)), fixest::coeftable(model)[, 1:2])",
    ]


def _r_callaway(study: Study, model: Model) -> list[str]:
    control = "nevertreated" if model.options.get("control") == "never" else "notyettreated"
    formula = " + ".join(f"`{_column(study, name)}`" for name in model.controls) or "1"
    return [
        f"rows$first <- ifelse(is.na(rows[[{_quoted(ADOPTION)}]]), 0, rows[[{_quoted(ADOPTION)}]])",
        f"rows$id <- as.integer(factor(rows[[{_quoted(_unit(study))}]]))",
        f"cells <- did::att_gt(yname = {_quoted(_column(study, model.outcome))}, tname = {_quoted(_time(study))}, "
        f'idname = "id", gname = "first", xformla = ~{formula}, data = rows, control_group = "{control}", '
        "bstrap = FALSE, cband = FALSE)",
        'average <- did::aggte(cells, type = "simple", na.rm = TRUE, bstrap = FALSE, cband = FALSE)',
        f"found <- data.frame(term = {_quoted(model.treatment)}, estimate = average$overall.att, "
        "se = average$overall.se)",
    ]


def _r_sun_abraham(study: Study, model: Model) -> list[str]:
    controls = "".join(f" + `{_column(study, name)}`" for name in model.controls)
    effects = " + ".join(f"`{_column(study, name)}`" for name in model.fixed_effects)
    cluster = " + ".join(f"`{_column(study, name)}`" for name in model.cluster)
    return [
        f"rows$first <- ifelse(is.na(rows[[{_quoted(ADOPTION)}]]), 10000, rows[[{_quoted(ADOPTION)}]])",
        f"model <- fixest::feols(`{_column(study, model.outcome)}` ~ sunab(first, `{_time(study)}`){controls} "
        f"| {effects}, rows, vcov = ~{cluster})",
        'average <- summary(model, agg = "att")$coeftable["ATT", ]',
        f"found <- data.frame(term = {_quoted(model.treatment)}, estimate = average[1], se = average[2])",
    ]


def _r_imputation(study: Study, model: Model) -> list[str]:
    controls = " + ".join(f"`{_column(study, name)}`" for name in model.controls) or "0"
    return [
        f"rows$first <- ifelse(is.na(rows[[{_quoted(ADOPTION)}]]), 0, rows[[{_quoted(ADOPTION)}]])",
        f'model <- didimputation::did_imputation(rows, {_quoted(_column(study, model.outcome))}, gname = "first", '
        f"tname = {_quoted(_time(study))}, idname = {_quoted(_unit(study))}, "
        f"first_stage = ~ {controls} | `{_unit(study)}` + `{_time(study)}`)",
        f"found <- data.frame(term = {_quoted(model.treatment)}, estimate = model$estimate, se = model$std.error)",
    ]


def _stata_rows(study: Study, model: Model) -> list[str]:
    lines = []
    names = _stata(study)
    if model.sample.years:
        lines.append(f"keep if inrange({names(_time(study))}, {model.sample.years[0]}, {model.sample.years[1]})")
    if model.sample.exclude_cities:
        for code in model.sample.exclude_cities:
            lines.append(f"drop if {names(_unit(study))} == {_quoted(code)}")
    for column, values in model.sample.where.items():
        tests = [f"{names(_column(study, column))} == {int(v) if isinstance(v, bool) else _value(v)}" for v in values]
        lines.append(f"keep if {' | '.join(tests)}")
    return lines


def _stata(study: Study) -> Callable[[str], str]:
    """Column -> its name in the .dta, which shortens what Stata does not take."""
    return lambda name: stata_names([name])[name]


def _options(study: Study, model: Model) -> str:
    names = _stata(study)
    effects = " ".join(names(_stata_key(study, name)) for name in model.fixed_effects)
    cluster = " ".join(names(_stata_key(study, name)) for name in model.cluster)
    return (f"absorb({effects})" if effects else "noabsorb") + (f" vce(cluster {cluster})" if cluster else "")


def _stata_key(study: Study, name: str) -> str:
    """Units are numbers in Stata: the panel has one beside a unit that is text."""
    column = _column(study, name)
    return "city" if column == UNIT else column


def _listed(study: Study, columns: Sequence[str]) -> str:
    names = _stata(study)
    return " ".join(names(_column(study, column)) for column in columns)


def _stata_two_way(study: Study, model: Model) -> list[str]:
    right = _listed(study, (model.outcome, *model.treatments, *model.controls))
    return [f"reghdfe {right}, {_options(study, model)}"]


def _stata_event_study(study: Study, model: Model) -> list[str]:
    names = _stata(study)
    leads, lags = int(model.options["leads"]), int(model.options["lags"])
    dummies, lines = [], []
    time = names(_time(study))
    lines.append(f"generate since = min(max({time} - adoption, {-leads}), {lags}) if !missing(adoption)")
    for period in _periods(model):
        dummy = f"lead{-period}" if period < 0 else f"lag{period}"
        lines.append(f"generate {dummy} = since == {period}")
        dummies.append(dummy)
    right = " ".join([names(_column(study, model.outcome)), *dummies, _listed(study, model.controls)]).strip()
    before = " ".join(dummy for dummy in dummies if dummy.startswith("lead"))
    return [*lines, f"reghdfe {right}, {_options(study, model)}", *([f"test {before}"] if before else [])]


def _stata_two_stage(study: Study, model: Model) -> list[str]:
    names = _stata(study)
    since = model.options["since"]
    after = "adoption" if since == "adoption" else str(since)
    instrument = names(_column(study, model.options["instrument"]))
    right = f"{_listed(study, (model.outcome, *model.controls))} ({names(model.treatment)} = iv)"
    return [
        f"generate iv = {instrument} * ({names(_time(study))} >= {after} & !missing({after}))",
        f"ivreghdfe {right}, {_options(study, model).replace('vce(cluster ', 'cluster(')} first",
    ]


def _stata_callaway(study: Study, model: Model) -> list[str]:
    control = "" if model.options.get("control") == "never" else " notyet"
    return [
        "generate first = cond(missing(adoption), 0, adoption)",
        f"csdid {_listed(study, (model.outcome, *model.controls))}, ivar({_stata_key(study, 'unit')}) "
        f"time({_stata(study)(_time(study))}) gvar(first){control} agg(simple)",
    ]


def _stata_sun_abraham(study: Study, model: Model) -> list[str]:
    time = _stata(study)(_time(study))
    return [
        f"generate since = {time} - adoption",
        "generate never = missing(adoption)",
        "quietly summarize since",
        "local low = r(min)",
        "local high = r(max)",
        "local periods",
        "forvalues p = `low'/`high' {",
        "    if `p' != -1 {",
        '        local name = cond(`p\' < 0, "lead" + string(-`p\'), "lag" + string(`p\'))',
        "        generate `name' = since == `p'",
        "        local periods `periods' `name'",
        "    }",
        "}",
        f"eventstudyinteract {_listed(study, (model.outcome,))} `periods', cohort(adoption) control_cohort(never) "
        f"covariates({_listed(study, model.controls)}) {_options(study, model)}",
    ]


def _stata_imputation(study: Study, model: Model) -> list[str]:
    names = _stata(study)
    unit, time = _stata_key(study, "unit"), names(_time(study))
    controls = f" controls({_listed(study, model.controls)})" if model.controls else ""
    return [f"did_imputation {names(_column(study, model.outcome))} {unit} {time} adoption, autosample{controls}"]


_Writer = Callable[[Study, Model], list[str]]
_R: dict[str, _Writer] = {
    "two_way": _r_two_way,
    "event_study": _r_event_study,
    "two_stage": _r_two_stage,
    "callaway_santanna": _r_callaway,
    "sun_abraham": _r_sun_abraham,
    "imputation": _r_imputation,
}
_STATA: dict[str, _Writer] = {
    "two_way": _stata_two_way,
    "event_study": _stata_event_study,
    "two_stage": _stata_two_stage,
    "callaway_santanna": _stata_callaway,
    "sun_abraham": _stata_sun_abraham,
    "imputation": _stata_imputation,
}

"""What the claims box, the ledger and the errata show of one claim, written once."""

import html
import math
from collections.abc import Container

from bindery.claims.entries import Entry
from bindery.claims.intervals import Estimate
from bindery.claims.model import Claim, Control
from bindery.claims.schema import VERDICTS
from bindery.claims.verdicts import Measurement
from bindery.root import EVIDENCE
from bindery.site.markup import Markup

# A sign for each word, beside the word: nothing is said by a sign or a colour alone.
SIGNS = dict(zip(VERDICTS, ("✓", "✓", "✗", "≈", "▪", "↻", "–", "○", "!"), strict=True))

# Between these a number is written without a power of ten.
LARGEST_PLAIN, SMALLEST_PLAIN = 1e5, 1e-5

STANDINGS = {
    "stated": "stated by the source",
    "quoted": "quoted from the paper in the source",
    "summary": "stated by a machine-written summary only",
    "companion": "stated by a companion paper",
    "ours": "our own question",
}


def number(value: float) -> str:
    """Write a measured number as HTML, with four significant digits."""
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    mantissa, _, exponent = f"{value:.4g}".partition("e")
    return _minus(f"{mantissa} × 10<sup>{int(exponent)}</sup>" if exponent else mantissa)


def _minus(number: str) -> str:
    return number.replace("-", "−")


def verdict(word: str) -> str:
    """Write a verdict as HTML: its sign, hidden from those who listen, and its word."""
    sign = f'<span class="verdict-sign" aria-hidden="true">{SIGNS[word]}&nbsp;</span>'
    return f'<span class="verdict verdict-{word.replace(" ", "-")}">{sign}{word}</span>'


def with_interval(estimate: Estimate) -> tuple[str, str]:
    """Write a value and its interval as HTML, to as many decimals as the interval's width is worth.

    The width is shown with two significant digits, or with as many more as keep a small end from looking like
    zero; an interval without a width leaves four to each number.
    """
    numbers, width = tuple(estimate), estimate.high - estimate.low
    if 0 < width < math.inf and max(map(abs, numbers)) < LARGEST_PLAIN and width > SMALLEST_PLAIN:
        decimals = max(0, 1 - math.floor(math.log10(width)))
        while any(entry != 0 and round(entry, decimals) == 0 for entry in numbers):
            decimals += 1
        written = [_minus(f"{entry:.{decimals}f}") for entry in numbers]
    else:
        written = [number(entry) for entry in numbers]
    return written[0], f"[{written[1]}, {written[2]}]"


def measured_text(measured: Measurement) -> list[str]:
    """Write each quantity with its interval, and the control's beside it, as HTML for a narrow cell."""
    several = len({name for _, name, _ in measured.parts}) > 1
    lines = []
    for start, name, estimate in measured.parts:
        label = f"<code>{html.escape(name)}</code> = " if several else ""
        lines.append(f"{start}{label}{' '.join(with_interval(estimate))}")
    return lines


def chapter_number(stem: str) -> int:
    return int(stem.split("_")[0])


def sources(claim: Claim) -> str:
    return f"{claim.paper}, {claim.locus} ({STANDINGS[claim.standing]})"


def page_of(claim: Claim, pages: Container[str]) -> str:
    """Return the address of what settles a claim, seen from the site's root; empty where no page does."""
    evidence, lesson = f"book/{claim.chapter}{EVIDENCE}", f"book/{claim.chapter}"
    if evidence in pages:
        return f"{evidence}.html#evidence-{claim.id}"
    return f"{lesson}.html#claim-{claim.id}" if lesson in pages else ""


def strength(entry: Entry) -> list[str]:
    """Say how firmly the deciding verdict stands, as HTML: its margin, other tolerances, other seeds."""
    deciding, said = entry.deciding, []
    if deciding.margin is not None and math.isfinite(deciding.margin):
        said.append(f"margin {_minus(f'{deciding.margin:.1f}')} half-widths")
    tolerances = (("half the tolerance", deciding.half), ("double the tolerance", deciding.double))
    said += [f"{name}: {word}" for name, word in tolerances if word]
    said += [f"seed {seed}: {word}" for seed, word in entry.seeds.items()]
    return [html.escape(line) for line in said]


def write_facts(out: Markup, entry: Entry) -> None:
    """Write how a claim is tested as a description list: quantities, rule, control, what is missing."""
    claim = entry.record
    out.open("dl", class_="claim-facts")
    _fact(out, "claim", claim.claim)
    out.tag("dt", "measured")
    for name, text in claim.quantity.items():
        out.html(f"<dd><code>{html.escape(name)}</code>: ").text(text).close("dd")
    if claim.criterion is not None:
        out.html(f"<dt>criterion</dt><dd><code>{html.escape(claim.criterion.text)}</code></dd>")
    if claim.tolerance is not None:
        _fact(out, "tolerance", claim.tolerance)
    _write_control(out, claim.control)
    for reason in entry.deciding.reasons:
        _fact(out, "verdict", reason, markup=entry.record.again is not None)
    if strength(entry):
        out.html(f"<dt>how firmly</dt><dd>{'; '.join(strength(entry))}</dd>")
    if claim.unpublished is not None:
        _fact(out, "unpublished", claim.unpublished)
    dated = (("criterion", entry.commits.criterion), ("first value", entry.commits.value))
    written = [f"{name} <code>{commit}</code>" for name, commit in dated if commit]
    if written:
        out.html(f"<dt>commits</dt><dd>{', '.join(written)}</dd>")
    for change in claim.history:
        look = " after a look" if change.after_look else ""
        _fact(out, f"changed {change.date}{look}", f"{change.change}: {change.why}")
    out.close("dl")


def _write_control(out: Markup, control: Control) -> None:
    if control.reason is not None:
        _fact(out, "control", f"none: {control.reason}")
        return
    out.html("<dt>control</dt><dd>").text(f"{control.variant}; {control.expect}")
    if control.criterion is not None:
        out.html(f" (<code>{html.escape(control.criterion.text)}</code>)")
    out.close("dd")
    if control.by_construction is not None:
        _fact(out, "by construction", control.by_construction)
    for name, reason in control.spared.items():
        out.html(f"<dt>not exercised</dt><dd><code>{html.escape(name)}</code>: ").text(reason).close("dd")


def _fact(out: Markup, name: str, text: str, *, markup: bool = True) -> None:
    out.tag("dt", name).tag("dd", text, markup=markup)


def write_values(out: Markup, entry: Entry) -> None:
    """Write every measured quantity of both profiles, with its control, as a table."""
    numbers = ["measured", "99 % interval", "control", "its 99 % interval"]
    out.table(f"Measured for {entry.record.id}", ["profile", "quantity"], numbers)
    for settled in (entry.quick, entry.paper):
        if settled is None or settled.measurement is None:
            continue
        measured, control = settled.measurement, settled.measurement.control or {}
        for name in dict.fromkeys([*measured.values, *control]):
            run = f"{settled.profile}, {html.escape(measured.units)}"
            cells = [f"<td>{run}</td>", f"<td><code>{html.escape(name)}</code></td>"]
            for values in (measured.values, control):
                written = with_interval(values[name]) if name in values else ("–", "–")
                cells += [f'<td class="number">{text}</td>' for text in written]
            out.html(f"<tr>{''.join(cells)}</tr>")
    out.end_table()

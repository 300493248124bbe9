"""A judgment for machines: JSON, and JUnit XML as CI servers read it."""

import json
import re
from dataclasses import asdict
from typing import Any
from xml.etree import ElementTree

from bench.gate.summary import headline
from bench.gate.verdict import MOVED, UNDECIDED, Cause, Judgment, Verdict

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def as_json(judgment: Judgment) -> str:
    """Everything: exit code, likely causes with counts, and one object per metric."""
    content: dict[str, Any] = {
        "exit": int(judgment.exit),
        "headline": headline(judgment),
        "causes": [{**_cause(cause), "metrics": count} for cause, count in judgment.causes],
        "metrics": [
            {**asdict(verdict), "causes": [_cause(cause) for cause in verdict.causes]}
            for verdict in judgment.verdicts
        ],
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def as_junit(judgment: Judgment) -> str:
    """One test case per metric: moved is a failure, undecided is an error, not gated is skipped."""
    suite = ElementTree.Element(
        "testsuite",
        name="bench gate",
        tests=str(len(judgment.verdicts)),
        failures=str(len(judgment.of(*MOVED))),
        errors=str(len(judgment.of(*UNDECIDED))),
        skipped=str(len(judgment.of("new", "ignored"))),
    )
    for verdict in judgment.verdicts:
        case = ElementTree.SubElement(
            suite, "testcase", classname=_xml(verdict.cell), name=_xml(verdict.measure)
        )
        kind = _junit_kind(verdict)
        if kind:
            element = ElementTree.SubElement(case, kind, message=_xml(f"{verdict.status}: {verdict.reason}"))
            causes = [f"{cause.kind}: {cause.sentence}" for cause in verdict.causes]
            element.text = _xml("\n".join([_values(verdict), *causes]))
    suites = ElementTree.Element("testsuites")
    suites.append(suite)
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def _cause(cause: Cause) -> dict[str, str]:
    return {"kind": cause.kind, "told": cause.sentence}


def _junit_kind(verdict: Verdict) -> str:
    if verdict.status in MOVED:
        return "failure"
    if verdict.status in UNDECIDED:
        return "error"
    return "skipped" if verdict.status in ("new", "ignored") else ""


def _values(verdict: Verdict) -> str:
    return f"was {list(verdict.before)}, is {list(verdict.after)}"


def _xml(text: str) -> str:
    """Without the characters that XML has no way to write."""
    return _NOT_XML.sub("\ufffd", text)

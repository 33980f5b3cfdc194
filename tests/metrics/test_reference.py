"""The page of figures, and the example rules, against what the programs really export."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from django.test import Client

from exposition import families, rows
from ferriage import wire
from ferriage.agent.clock import SiteClock
from ferriage.agent.figures import FILE
from ferriage.agent.figures import Figures as AgentFigures
from ferriage.core import rounds
from ferriage.hub.figures import Figures as HubFigures
from yard import status, usage

if TYPE_CHECKING:
    from datetime import datetime

    from till import Till

DOCS = Path(__file__).parents[2] / "docs"
DEPLOY = Path(__file__).parents[2] / "deploy"


class _Engine:
    """What the agent's figures ask of its engine."""

    backend_name = "kernel"

    def __init__(self) -> None:
        self.pools = {"pool_1": self}

    def open_until(self) -> int:
        return 2000

    def refused(self) -> dict[str, dict[str, str]]:
        return {"pool_1": {}}

    def element_counts(self) -> dict[str, int]:
        return {"open": 3}


def _of_agent(directory: Path) -> str:
    clock = SiteClock(site_time=1000, boottime=lambda: 5.0)
    figures = AgentFigures(_Engine(), clock, str(directory))  # type: ignore[arg-type]
    sign = wire.Sign(kind="table", pool="", count=1, at=900)
    figures.report = wire.Report(
        format=wire.FEED_FORMAT,
        instance="i",
        fence=1,
        sequence=1,
        boot_id="b",
        agent_version="0",
        backend="kernel",
        pools=(status("pool_1"),),
        usage=(usage("pool_1", 1, 2),),
        warnings=(),
        signs=(sign,),
    )
    figures.applied("pool_1", 0.1)
    figures.write()
    return (directory / FILE).read_text()


def _of_hub() -> str:
    return HubFigures().text().decode()


@pytest.fixture
def of_site(till: Till, now: datetime) -> str:
    till.receive(None, 250)
    rounds.note([rounds.Run(name="fleet", seconds=0.1)], now=now)
    answer = Client().get("/metrics", headers={"Authorization": "Bearer of-the-scraper"})
    return answer.content.decode()


def test_reference_lists_every_figure_with_type_and_labels(of_site: str, tmp_path: Path) -> None:
    page = (DOCS / "reference/metrics.md").read_text()
    exported = {"Site": of_site, "Hub": _of_hub(), "Agent": _of_agent(tmp_path)}

    for title, text in exported.items():
        part = page.split(f"\n## {title}\n")[1].split("\n## ")[0]
        listed = sorted(line for line in part.splitlines() if line.startswith("| `"))
        assert listed == rows(text), title


def test_alert_rules_name_figures_that_there_are(of_site: str, tmp_path: Path) -> None:
    rules = (DEPLOY / "prometheus-rules.yml").read_text()
    there = set()
    for text in (of_site, _of_hub(), _of_agent(tmp_path)):
        for name, (kind, _) in families(text).items():
            there |= {f"{name}_total"} if kind == "counter" else {name}
            if kind == "histogram":
                there |= {f"{name}_{part}" for part in ("bucket", "sum", "count")}

    named = set(re.findall(r"\bferriage_[a-z0-9_]+", rules))

    assert named
    assert named - there == set()


def test_examples_have_the_shape_that_prometheus_reads() -> None:
    rules = yaml.safe_load((DEPLOY / "prometheus-rules.yml").read_text())
    scrape = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())

    (group,) = rules["groups"]
    assert set(group) == {"name", "rules"}
    assert len(group["rules"]) >= 5
    for rule in group["rules"]:
        assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}
        assert re.fullmatch(r"[A-Z][A-Za-z]+", rule["alert"])
        assert re.fullmatch(r"\d+[smhd]", rule["for"])
        assert set(rule["annotations"]) == {"summary", "description"}
    jobs = {job["job_name"]: job for job in scrape["scrape_configs"]}
    assert set(jobs) == {"ferriage-site", "ferriage-hub", "ferriage-gateways"}
    for name in ("ferriage-site", "ferriage-hub"):
        assert jobs[name]["authorization"]["credentials_file"]

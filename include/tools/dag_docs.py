"""Write docs/DAGS.md from the DAG files, without running them or Airflow.

``python -m include.tools.dag_docs`` writes the page, ``--check`` fails when it is not current.
What a DAG says about itself is its module docstring; what it does when is in its decorator.
Both are read from the syntax tree, so that a page can be made where Airflow has no database.
"""

from __future__ import annotations

import argparse
import ast
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "DAGS.md"


@dataclass(frozen=True)
class DagPage:
    """What one DAG file says about itself."""

    dag_id: str
    schedule: str
    tags: tuple[str, ...]
    params: tuple[tuple[str, str], ...]
    tasks: tuple[str, ...]
    docstring: str

    @property
    def summary(self) -> str:
        """The first sentence of the docstring."""
        return " ".join(self.docstring.split("\n\n")[0].split())


def read_dag(path: Path) -> DagPage:
    """Read one DAG file; ``ValueError`` names the file and what it lacks."""
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    docstring = ast.get_docstring(tree)
    if not docstring:
        raise ValueError(f"dags/{path.name}: a DAG file starts with a docstring saying what it does; add one")
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and (keywords := _dag_keywords(node)) is not None:
            if node.name != path.stem:
                raise ValueError(f"dags/{path.name}: the DAG function is {node.name}; name it {path.stem}")
            return DagPage(
                dag_id=node.name,
                schedule=_schedule(keywords.get("schedule"), tree),
                tags=_names(keywords.get("tags")),
                params=_params(keywords.get("params"), tree),
                tasks=_tasks(node),
                docstring=docstring,
            )
    raise ValueError(f"dags/{path.name}: no function decorated with @dag(…) at the top level")


def _dag_keywords(node: ast.FunctionDef) -> dict[str, ast.expr] | None:
    for decorator in node.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func).split(".")[-1] == "dag":
            return {k.arg: k.value for k in decorator.keywords if k.arg}
    return None


def _constant(node: ast.expr, tree: ast.Module) -> ast.expr:
    """The value of a module constant, so that ``schedule=DAILY`` reads as its cron expression."""
    if isinstance(node, ast.Name):
        for statement in tree.body:
            targets = (
                statement.targets
                if isinstance(statement, ast.Assign)
                else [statement.target]
                if isinstance(statement, ast.AnnAssign)
                else []
            )
            if any(isinstance(t, ast.Name) and t.id == node.id for t in targets):
                value = statement.value  # type: ignore[attr-defined]
                return value if value is not None else node
    return node


def _schedule(node: ast.expr | None, tree: ast.Module) -> str:
    """In words: ``15 2 * * * UTC; asset approved_plans``."""
    if node is None or (isinstance(node, ast.Constant) and node.value is None):
        return "by hand"
    node = _constant(node, tree)
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.BinOp):
        return f"{_schedule(node.left, tree)}; {_schedule(node.right, tree)}"
    if isinstance(node, ast.List | ast.Tuple):
        return "; ".join(_schedule(e, tree) for e in node.elts)
    if isinstance(node, ast.Call):
        keywords = {k.arg: k.value for k in node.keywords}
        name = ast.unparse(node.func).split(".")[-1]
        if name == "Asset" and node.args:
            return f"asset {_text(node.args[0])}"
        if name == "CronTriggerTimetable" and node.args:
            zone = keywords.get("timezone")
            return f"{_text(node.args[0])} {_text(zone) if zone else 'UTC'}"
        if name == "AssetOrTimeSchedule":
            return f"{_schedule(keywords.get('timetable'), tree)}; {_schedule(keywords.get('assets'), tree)}"
    return ast.unparse(node)


def _names(node: ast.expr | None) -> tuple[str, ...]:
    if not isinstance(node, ast.List | ast.Tuple | ast.Set):
        return ()
    known = _tags()
    return tuple(
        str(e.value) if isinstance(e, ast.Constant) else known.get(ast.unparse(e), ast.unparse(e))
        for e in node.elts
    )


def _tags() -> dict[str, str]:
    """``Tag.holds`` → ``legal-holds``, from the enum in include/dag_defaults.py."""
    tree = ast.parse((ROOT / "include" / "dag_defaults.py").read_text(encoding="utf-8"))
    return {
        f"{enum.name}.{ast.unparse(line.targets[0])}": _text(line.value)
        for enum in tree.body
        if isinstance(enum, ast.ClassDef) and enum.name == "Tag"
        for line in enum.body
        if isinstance(line, ast.Assign)
    }


def _params(node: ast.expr | None, tree: ast.Module) -> tuple[tuple[str, str], ...]:
    if node is not None:
        node = _constant(node, tree)
    if not isinstance(node, ast.Dict):
        return ()
    found: list[tuple[str, str]] = []
    for key, value in zip(node.keys, node.values, strict=True):
        if key is None:  # **SHARED
            found += _params(value, tree)
            continue
        value = _constant(value, tree)
        description = ""
        if isinstance(value, ast.Call):
            for keyword in value.keywords:
                if keyword.arg == "description":
                    description = _text(keyword.value)
        found.append((_text(key), description))
    return tuple(found)


def _text(node: ast.expr) -> str:
    return str(node.value) if isinstance(node, ast.Constant) else ast.unparse(node)


def _tasks(node: ast.FunctionDef) -> tuple[str, ...]:
    """Task ids in the order of the file: ``@task`` functions, ``task(fn)`` calls and ``task_id=``."""
    found: list[str] = []
    for child in ast.walk(node):
        if isinstance(child, ast.FunctionDef) and child is not node:
            if any("task" in ast.unparse(d) for d in child.decorator_list):
                found.append(child.name)
        elif isinstance(child, ast.Call):
            ids = [k.value for k in child.keywords if k.arg == "task_id"]
            found += [str(i.value) for i in ids if isinstance(i, ast.Constant)]
    return tuple(dict.fromkeys(found))


def render(pages: list[DagPage]) -> str:
    """The whole page."""
    lines = [
        "# The DAGs",
        "",
        "Generated from `dags/` by `make docs`; CI fails when it is not current. Do not edit.",
        "",
        "| DAG | When | What it does |",
        "|---|---|---|",
    ]
    lines += [
        f"| [{p.dag_id}](#{p.dag_id}) | `{p.schedule.replace('|', chr(92) + '|')}` | {p.summary} |"
        for p in pages
    ]
    for page in pages:
        lines += ["", f"## {page.dag_id}", ""]
        if page.tags:
            lines += [f"Tags: {', '.join(f'`{t}`' for t in page.tags)}", ""]
        lines += [page.docstring.replace("\n## ", "\n### ").replace("\n# ", "\n### ")]
        if page.params:
            lines += ["", "| Parameter | Meaning |", "|---|---|"]
            lines += [f"| `{name}` | {meaning} |" for name, meaning in page.params]
    return "\n".join(lines) + "\n"


def main(argv: list[str] | None = None) -> int:
    """Write or check the page; the exit code is 1 when it is not current."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--check", action="store_true", help="fail when docs/DAGS.md is not current")
    arguments = parser.parse_args(argv)
    try:
        page = render([read_dag(path) for path in sorted((ROOT / "dags").glob("*.py"))])
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    if arguments.check:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page:
            print("docs/DAGS.md is not current: run `make docs` and commit the result", file=sys.stderr)
            return 1
        return 0
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Pages that list what the code has list all of it."""

import ast
import re
import runpy
from pathlib import Path

from electra_tf.finetuning.answer_metrics import no_answer_scores
from electra_tf.pretraining.generators import MaskedGenerator, TwoTowers, Uniform
from electra_tf.pretraining.metrics import detection_readings, masked_lm_readings
from electra_tf.pretraining.settings import Electra

ROOT = Path(__file__).resolve().parents[1]


def keys_in(file, *functions):
    """Every constant key of a dictionary in these functions of a file of the package."""
    tree = ast.parse((ROOT / "electra_tf" / file).read_text("utf-8"))
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef) and function.name in functions:
            for node in ast.walk(function):
                if isinstance(node, ast.Dict):
                    yield from (key.value for key in node.keys if isinstance(key, ast.Constant))
                elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
                    yield from (part.value for part in [node.slice] if isinstance(part, ast.Constant))


def named_in_tables(page):
    """Names in backquotes in the first cells of a page's tables."""
    rows = [line for line in (ROOT / "docs" / page).read_text("utf-8").splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`(\w+)`", row.split(" | ")[0])}


def test_the_page_of_settings_is_what_the_classes_say():
    page = runpy.run_path(str(ROOT / "docs/settings_page.py"))["page"]
    assert (ROOT / "docs/settings.md").read_text("utf-8") == page(), "run the command that the page names"


def test_the_page_of_metrics_has_each_name_and_no_other():
    learned = {kind.learned for kind in (MaskedGenerator, TwoTowers, Uniform)}
    names = {n for one in learned for n in detection_readings(one, Electra(), 100, True).metrics}
    names |= set(masked_lm_readings(1.0, 100).metrics)
    names |= set(keys_in("pretraining/evaluation.py", "__call__"))
    names |= {"loss", *keys_in("finetuning/objective.py", "_readings")} - {"task_loss", "weight", "hits", "judged"}
    for file in ("classification", "tagging", "question_answering", "multiple_choice", "multi_task"):
        names |= set(keys_in(f"finetuning/{file}.py", "score", "_score", "scores_of", "named"))
    names |= set(keys_in("finetuning/tags.py", "entity_scores")) | set(keys_in("finetuning/evaluation.py", "scores"))
    names |= set(no_answer_scores([["sea"], []], ["sea", "ship"], [0.0, 1.0], 0.5)) | {"exact", "f1"}
    names |= set(keys_in("training/actions.py", "__call__"))
    names |= {"grad_norm", "generator_grad_norm", "discriminator_grad_norm"}
    assert named_in_tables("metrics.md") == names

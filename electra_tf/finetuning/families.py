"""The families of tasks: how the files of each are read, what is learned of them, and which one a model answers to."""

from electra_tf.checkpoints.loaded_model import LoadedModel
from electra_tf.errors import CheckpointError
from electra_tf.finetuning.classification import Classification, Multilabel, Regression
from electra_tf.finetuning.multiple_choice import Choice
from electra_tf.finetuning.multiple_choice_files import read_choices
from electra_tf.finetuning.question_answering import Spans
from electra_tf.finetuning.question_files import read_questions
from electra_tf.finetuning.records import read_file
from electra_tf.finetuning.tagged_files import read_tagged
from electra_tf.finetuning.tagging import Tagging
from electra_tf.finetuning.tags import Scheme, scheme_of
from electra_tf.finetuning.task import Task
from electra_tf.models.config import EncoderConfig


def read_records(reading, path, labelled: bool = True, joined: bool = False):
    """A file of a family: `records`, and `read_as` in words. Raises: `InputError`.

    Args:
        reading: a `published.Reading`. labelled: whether what is learned is read. joined: see `read_tagged`.
    """
    text, label = reading.text, reading.label
    if reading.kind == "tagging":
        return read_tagged(path, text[0] if text else None, label, labelled, joined=joined)
    if reading.kind == "span":
        return read_questions(path, text, label, labelled)
    if reading.kind == "choice":
        return read_choices(path, text, reading.choices, label, labelled, reading.named)
    # What is answered to has an answer for every row.
    how = {"names": reading.names, "quoted": reading.quoted, "lenient": reading.is_published and labelled}
    return read_file(path, text, label if labelled else None, **how)


def task_of(kind: str, train, dev, settings, config: EncoderConfig) -> Task:
    """What is learned of a training file and scored on dev records.

    `settings` is a `FineTuning`. Raises: `InputError`, `ConfigError`.
    """
    google, records = settings.head == "google", train.records
    if kind == "tagging":
        more = {"google_head": google, **_compat_of_tagging(settings.compat)}
        return Tagging.of(records, train.scheme, settings.class_weights, **more)
    if kind == "span":
        return Spans.of(records, dev, settings, config)
    if kind == "choice":
        return Choice(settings.question_length or Choice.question_length)
    more = {"google_head": google, "first_keeps_odd": "first_keeps_odd" in settings.compat}
    more["long"] = settings.long
    if kind == "regression":
        return Regression.of(records, settings.label_scale, **more)
    return {"classification": Classification, "multilabel": Multilabel}[kind].of(
        records, settings.class_weights, **more
    )


def _compat_of_tagging(compat) -> dict[str, bool]:
    return {name: name in compat for name in ("google_entities", "cut_sentences")}


def task_of_model(model: LoadedModel, settings: dict, answers: dict) -> Task:
    """What a model answers to.

    Args:
        model: of any checkpoint. settings: fields of the `FineTuning` that it comes from, where it is known.
        answers: see `training.objective.Objective`; empty where it is not known.

    Raises: `CheckpointError` for one that was not fine-tuned.
    """
    heads, count = {*model.heads}, model.num_labels
    names = model.fields.get("id2label") or {}
    labels = tuple(names.get(str(number), f"LABEL_{number}") for number in range(count))
    if model.is_labelled and names and {*names} != {*map(str, range(count))}:
        raise CheckpointError(
            f"the head has {count} classes, and id2label names {', '.join(sorted(names, key=str))}",
            where="config.json, id2label",
            expected=f"a name for each of 0 to {count - 1}",
            remedy="name each class there",
        )
    keeps_odd = "first_keeps_odd" in settings.get("compat", ())
    own = ("first_token_classifier" in heads, keeps_odd, settings.get("long", "truncate"))
    if heads & {"sequence_classifier", "first_token_classifier"}:
        if model.fields.get("problem_type") == "multi_label_classification":
            return Multilabel(labels, (1.0,) * count, *own)
        if count == 1:
            return Regression(0.0, 1.0, *own)
        return Classification(labels, (1.0,) * count, *own)
    if "token_classifier" in heads:
        scheme = Scheme(*answers["scheme"]) if "scheme" in answers else scheme_of([labels])
        more = _compat_of_tagging(settings.get("compat", ())) | {"joined": answers.get("joined", False)}
        return Tagging(labels, (1.0,) * count, scheme, **more)
    if "multiple_choice" in heads:
        return Choice(settings.get("question_length") or Choice.question_length)
    if heads & {"question_answering", "conditional_answers", "answer_start"}:
        return Spans.of_model(model, settings, answers)
    raise CheckpointError(
        f"the model has no head of a task, its heads are {', '.join(model.heads) or 'none'}: no classifier of texts, "
        "words, answers or choices",
        where=model.name,
        expected="a run of `electra-tf finetune`, or a fine-tuned model of transformers or of Google's",
        remedy="fine-tune it first, with `electra-tf finetune`",
    )

"""`electra-tf finetune`: a checkpoint and labelled texts become a classifier with a score."""

import json

from absl import flags

from electra_tf.errors import ConfigError

DESCRIPTION = (
    "Fine-tunes a checkpoint on labelled texts, for each seed alike, keeps what is best on the dev rows, and says how "
    "good it is. The same command started again goes on where it stood."
)
EXAMPLE = """
electra-tf finetune --task sst2 --data GLUE/SST-2 --init_checkpoint hf/discriminator --model_dir runs/sst2
electra-tf finetune --task classification --train reviews.csv --dev dev.csv --text review --label stars \\
    --init_checkpoint hf/discriminator --model_dir runs/reviews
electra-tf finetune --task regression --train pairs.jsonl --text first,second --label similarity --seeds 1,2,3 \\
    --init_checkpoint runs/tiny --model_dir runs/pairs
electra-tf finetune --task tagging --train train.conll --dev dev.conll --init_checkpoint hf/discriminator \\
    --model_dir runs/entities
"""

RESTARTS = True  # see `electra_tf.startup`


def define_flags() -> None:
    flags.DEFINE_string(
        "task",
        "classification",
        "Of own files: classification, multilabel, regression, tagging, span or choice; or a published task.",
    )
    flags.DEFINE_string("data", None, "The folder of a published task: sst2, mrpc, nsmc, ...")
    flags.DEFINE_string("train", None, "Labelled texts: .csv, .tsv (a first line of names), .jsonl, or CoNLL columns.")
    flags.DEFINE_string("dev", None, "Those that choose the best checkpoint; else a tenth of the training file.")
    flags.DEFINE_string("test", None, "Those that are scored once, at the end, and choose nothing.")
    flags.DEFINE_list("text", None, "The column of the texts, or two columns for pairs; by default `text`.")
    flags.DEFINE_string("label", None, "The column of the labels; by default `label`.")
    flags.DEFINE_list("choices", None, "The columns of the choices, or one of lists; by default `options`.")
    flags.DEFINE_enum("long", None, ["truncate", "head_tail", "windows"], "What becomes of texts that are too long.")
    flags.DEFINE_enum("head", None, ["transformers", "google"], "Whose head stands on the encoder.")
    flags.DEFINE_string("init_checkpoint", None, "What is fine-tuned: a checkpoint of any format.")
    flags.DEFINE_string("from_scratch", None, "A preset with random weights instead, for comparison.")
    flags.DEFINE_string("vocab", None, "The tokenizer, instead of the one beside the checkpoint.")
    flags.DEFINE_string("model_dir", None, "A folder; the run of each seed is in it.")
    flags.DEFINE_list("seeds", ["0"], "Of the order, of dropout and of the head's first weights.")
    flags.DEFINE_multi_string(
        "gin_file", [], "Experiment files, by path or by name (finetune/electra_stsb, finetune/albert_rte, ...)."
    )
    flags.DEFINE_multi_string("gin_param", [], "Single settings, such as 'FineTuning.epochs = 5.0'.")
    flags.DEFINE_string("strategy", "one", "one, mirrored, multi_worker (TF_CONFIG) or tpu.")
    flags.DEFINE_integer(
        "devices", None, "How many devices of this machine to use; several are mirrored.", lower_bound=1
    )
    flags.DEFINE_integer("threads", None, "Threads of an operation on a CPU; all cores by default.", lower_bound=1)
    flags.DEFINE_boolean("json", False, "Print the result as JSON on standard output.")
    flags.mark_flags_as_required(["model_dir"])


def run(values) -> int:
    from electra_tf.cli.gin_files import configured
    from electra_tf.finetuning.run import USUAL, begins_at, finetune, usual_decay
    from electra_tf.finetuning.settings import FineTuning
    from electra_tf.optimizers import OPTIMIZERS
    from electra_tf.training.devices import Devices
    from electra_tf.training.recipe import Recipe

    names = ("task", "data", "train", "dev", "test", "label", "head", "long")
    told = {name: getattr(values, name) for name in names}
    told |= {name: tuple(getattr(values, name)) for name in ("text", "choices") if getattr(values, name)}
    config = begins_at(values.init_checkpoint, values.from_scratch, values.vocab).config
    usual = [f"Recipe.{name} = {value!r}" for name, value in USUAL.items()]
    usual += ["AdamW.bias_correction = True", f"AdamW.weight_decay = {usual_decay(config)}"]
    params = [f"FineTuning.{name} = {value!r}" for name, value in told.items() if value is not None]
    if not values["task"].present:  # a gin file may say it
        params = [param for param in params if not param.startswith("FineTuning.task ")]
    (recipe, settings, optimizer), operative = configured(
        Recipe,
        lambda recipe: [FineTuning, OPTIMIZERS[recipe.optimizer]],
        values.gin_file,
        [*params, *values.gin_param],
        usual,
    )
    result = finetune(
        settings,
        values.model_dir,
        values.init_checkpoint,
        from_scratch=values.from_scratch,
        vocab=values.vocab,
        recipe=recipe,
        optimizer=optimizer,
        seeds=_numbers(values.seeds),
        devices=Devices(values.strategy, values.devices, values.threads),
        operative_config=operative,
    )
    print(json.dumps(result) if values.json else _in_words(result))
    return 0 if result["finished"] else 143


def _numbers(words):
    try:
        return tuple(int(word) for word in words)
    except ValueError as error:
        raise ConfigError(f"--seeds is {','.join(words)}", expected="whole numbers, parted by commas") from error


def _in_words(result) -> str:
    metric, lines = result["metric"], []
    for one in result["runs"] if result["finished"] else ():
        failed = "  failed: no better than the commonest answer" if one["failed"] else ""
        test = f"  test {one['test'][metric.removeprefix('best_')]:.4f}" if "test" in one else ""
        for name in (name for name in one if name.startswith("dev_")):
            shown = {metric: one[name][metric]} if metric in one[name] else one[name]  # of several tasks, all
            test += f"  {name}" + "".join(f" {called} {score:.4f}" for called, score in shown.items())
        lines.append(f"seed {one['seed']:<6} {metric} {one['dev'][metric]:.4f} at step {one['step']:,}{test}{failed}")
    if not result["finished"]:
        return "stopped; the same command goes on"
    spread = f", deviation {result['deviation']:.4f}" if result["deviation"] is not None else ""
    lines.append(
        f"{metric}: median {result['median']:.4f}, mean {result['mean']:.4f}{spread}, best {result['best']:.4f}"
    )
    failed = f"failed runs: {result['failed']}"
    if result["failed"]:
        failed += f", with which the mean is {result['mean_of_all']:.4f}"
    lines.append(f"the commonest answer alone: {result['commonest']:.4f}; {failed}")
    return "\n".join(lines)

"""`electra-tf pretrain`: pre-train encoders by any objective, or go on with a run."""

import json

from absl import flags

from electra_tf.errors import ConfigError

DESCRIPTION = (
    "Pre-trains encoders on a data set: ELECTRA's generator and discriminator, ALBERT, or another objective that a gin "
    "file names. The same command started again goes on where the run stood."
)
EXAMPLE = """
electra-tf pretrain --gin_file electra_tiny --data data --model_dir runs/tiny
electra-tf pretrain --gin_file electra_small_plus_plus --init_checkpoint electra-small-discriminator \\
    --init_generator electra-small-generator --data data --model_dir runs/continued
electra-tf pretrain --gin_file electra_small --gin_param 'Recipe.steps = 200000' --data data --model_dir runs/small
"""

RESTARTS = True  # see `electra_tf.startup`


def define_flags() -> None:
    flags.DEFINE_string("data", None, "A data set made by `electra-tf data`.")
    flags.DEFINE_string("model_dir", None, "The run directory; a run that it holds is resumed.")
    flags.DEFINE_multi_string(
        "gin_file", [], "Experiment files, by path or by name (electra_tiny, albert_tiny, papers/electra_base, ...)."
    )
    flags.DEFINE_multi_string("gin_param", [], "Single settings, such as 'Recipe.batch_size = 64'.")
    flags.DEFINE_string("strategy", "one", "one, mirrored, multi_worker (TF_CONFIG) or tpu.")
    flags.DEFINE_integer(
        "devices", None, "How many devices of this machine to use; several are mirrored.", lower_bound=1
    )
    flags.DEFINE_integer("threads", None, "Threads of an operation on a CPU; all cores by default.", lower_bound=1)
    flags.DEFINE_string("init_checkpoint", None, "Take a new run's weights from this checkpoint, of any format.")
    flags.DEFINE_string("init_generator", None, "Take the generator's from this one.")
    flags.DEFINE_string("init_vocab", None, "The tokenizer of those checkpoints, whatever is beside them.")
    flags.DEFINE_boolean("init_slots", False, "Take over Adam's moments, too, from a TF-V1 checkpoint or a run.")
    flags.DEFINE_boolean("extend", False, "Allow more steps than the run was begun with.")
    flags.DEFINE_integer("profile", 0, "Write a profile of so many steps for TensorBoard.", lower_bound=0)
    flags.DEFINE_boolean("json", False, "Print the result as JSON on standard output.")
    flags.mark_flags_as_required(["data", "model_dir"])


def run(values) -> int:
    from electra_tf.cli.gin_files import configured
    from electra_tf.pretraining.run import pretrain, settings_of
    from electra_tf.training.devices import Devices
    from electra_tf.training.initial_weights import Start
    from electra_tf.training.recipe import Recipe

    filled, operative = configured(Recipe, settings_of, values.gin_file, values.gin_param)
    recipe, settings, masking, schedule, optimizer = filled
    start = None
    if values.init_checkpoint or values.init_generator:
        towers = {"generator": values.init_generator} if values.init_generator else {}
        start = Start(values.init_checkpoint, towers, values.init_vocab, values.init_slots)
    elif values.init_vocab or values.init_slots:
        raise ConfigError("--init_vocab or --init_slots without a checkpoint", expected="--init_checkpoint, too")
    result = pretrain(
        values.data,
        values.model_dir,
        settings,
        recipe,
        masking=masking,
        schedule=schedule,
        optimizer=optimizer,
        devices=Devices(values.strategy, values.devices, values.threads),
        extend=values.extend,
        start=start,
        operative_config=operative,
        profile=values.profile,
    )
    if values.json:
        print(json.dumps(result))
    return 0 if result["finished"] else 143

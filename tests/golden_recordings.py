"""Trajectories recorded from Google's original code, in the product's terms: settings, inputs, and what came out."""

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

from electra_tf.checkpoints.google_albert import read_albert
from electra_tf.checkpoints.google_electra import read_tf1
from electra_tf.checkpoints.translation import with_tower_called
from electra_tf.checkpoints.weight_names import model_tensors
from electra_tf.optimizers.adamw import AdamW
from electra_tf.optimizers.lamb import Lamb
from electra_tf.optimizers.schedules import Schedule
from electra_tf.pretraining import electra, masked_lm
from electra_tf.pretraining.masking import Masked, Masking
from electra_tf.pretraining.settings import Electra, MaskedLM
from electra_tf.pretraining.tokens import Tokens

# Limits by quantity: (at step 0, over the whole run).
DENSE = {
    "losses, relative": (1e-6, 2e-6),
    "logits": (5e-6, 3e-5),
    "gradient norm, relative": (2e-6, 1e-4),
    "learning rate, relative": (1e-6, 1e-6),
    "labels": (0, 0),
}
# log q at the last real token of padded rows comes from an attention row that is all masked.
ELECTRIC = {**DENSE, "logits": (1e-4, 1e-4)}
UNIFORM = {**DENSE, "losses, relative": (1e-6, 5e-6), "gradient norm, relative": (2e-6, 5e-4)}
# Where the norm of single steps is ill-conditioned: initial weights changed by one unit in the last place move it by up
# to 2.4e-3 and the losses by up to 6.6e-6 (8 seeds, graph, one device). The median over the steps stays strict.
UNTIED = {**DENSE, "losses, relative": (1e-6, 1e-5), "gradient norm, relative": (2e-6, 5e-3)}
ALBERT = {
    "losses, relative": (1e-6, 2e-6),
    "logits": (5e-6, 3e-5),
    "gradient norm, relative": (2e-6, 1e-5),
    "learning rate, relative": (1e-6, 1e-6),
}
FINAL = {"final weights": 5e-6, "final key biases": 3e-5, "final slots, relative": 1e-4}


def open_recording(folder):
    """The recording in a folder, of pre-training or fine-tuning; ends the program in words where there is none."""
    folder = Path(folder)
    try:
        config = json.loads((folder / "config.json").read_text())
        with np.load(folder / "steps.npz") as arrays:
            arrays = dict(arrays)
    except (OSError, ValueError) as error:
        sys.exit(f"{folder}: no recorded trajectory: config.json and steps.npz cannot be read ({error})")
    if "task_specific" in str(arrays.get("var_names", "")) or "config" in config:
        from golden_tasks import open_tasks

        return open_tasks(folder, config, arrays)
    if (folder / "train.json").is_file():
        return AlbertRecording(folder, config, arrays)
    return ElectraRecording(folder, config, arrays)


class Recording:
    """What both kinds have.

    Attributes:
        folder, config, arrays: as read.
        build: makes the objective. optimizer, schedule, steps: of its training.
        limits: by quantity, at step 0 and over the run.
        ways: how it is replayed, see `golden_tasks`; usually one.
        sparse: whether row-sparse gradients matter; they are dense here, as on TPUs in the original, so that such a
            recording is compared with its `onehot_*` arrays, in losses and norms only.
    """

    sparse = False
    ways = ("",)

    def __init__(self, folder, config, arrays):
        self.folder, self.config, self.arrays = folder, config, arrays

    @property
    def rows(self) -> int:
        """Of a batch."""
        return (self.arrays["input_ids"] if "input_ids" in self.arrays else self.arrays["in/input_ids"]).shape[1]

    def observe(self, objective):
        """What takes the place of an objective's `measure`: whatever was computed, by name."""
        return lambda batch, drawn, outputs: outputs._asdict()

    def clip_norm(self, number, way):
        """The recorded norm to clip by, where it is not the norm of the step here; None: its own."""
        return None

    def rates(self, step, rate, number):
        """Pairs of learning rates, ours and recorded."""
        yield rate, self.arrays["learning_rate"][number]

    def predicted(self, objective):
        """(quantity, ours, recorded) of what the trained model answers."""
        return ()

    def __len__(self):
        return len(self.arrays["total_loss"])

    def at(self, step):
        """Every array of a step, as tensors."""
        return {name: tf.constant(array[step]) for name, array in self.arrays.items() if len(array) == len(self)}


class ElectraRecording(Recording):
    """Of Google's ELECTRA, in any of its modes."""

    def __init__(self, folder, config, arrays):
        super().__init__(folder, config, arrays)
        flags = config["flags"]
        self.detects = flags["electra_objective"] or flags["electric_objective"]
        untied = flags["untied_generator_embeddings"]
        width = flags["embedding_size"] or config["bert_config"]["hidden_size"]
        encoder = {**config["bert_config"], "embedding_size": width}
        self.masking = Masking(
            mask_prob=flags["mask_prob"],
            max_predictions=arrays["masked_lm_positions"].shape[-1],
            draw_with_replacement=True,
            count_special_tokens=True,
        )
        special = {"[UNK]": 1, **config["special_token_ids"]}  # [UNK] plays no part, and may be left out
        ids = [special[f"[{name}]"] for name in ("PAD", "UNK", "CLS", "SEP", "MASK")]
        size = encoder["vocab_size"]
        tokens = Tokens(*ids, size, np.ones(size, bool))
        self.steps = flags["num_train_steps"]
        if self.detects:
            generator = config.get("generator_bert_config", {})
            own = {**generator, "embedding_size": generator["hidden_size"] if untied else width} if generator else {}
            kind = "two_towers" if flags["two_tower_generator"] or flags["electric_objective"] else "masked"
            kind = "uniform" if flags["uniform_generator"] else kind
            kind = "shared" if not flags["untied_generator"] else kind
            self.settings = Electra(
                discriminator=encoder,
                generator=own if kind in ("masked", "two_towers") else {},
                generator_kind=kind,
                judged="electric" if flags["electric_objective"] else "replaced",
                embedding_sharing="none" if untied else "all",
                mlm_weight=flags["gen_weight"],
                disc_weight=flags["disc_weight"],
                temperature=flags["temperature"],
                disallow_correct=flags["disallow_correct"],
                wrap_around=kind == "two_towers",
            )
            trained = electra.ReplacedTokenDetection
            self.learned = "cloze_loss" if kind == "two_towers" else "mlm_loss"
        else:
            self.settings, trained, self.learned = MaskedLM(encoder=encoder), masked_lm.MaskedLanguageModelling, None
        self.build = lambda: trained(self.settings, self.masking, tokens, self.steps)
        optimizer = config["optimizer"]
        self.optimizer = AdamW(
            beta_1=optimizer["beta_1"],
            beta_2=optimizer["beta_2"],
            epsilon=optimizer["epsilon"],
            bias_correction=optimizer["bias_correction"],
            weight_decay=flags["weight_decay_rate"],
            clip_norm=optimizer["clip_global_norm"],
        )
        warmup = max(flags["num_train_steps"] * flags.get("warmup_proportion", 0), flags["num_warmup_steps"])
        self.schedule = Schedule("product", flags["learning_rate"], warmup, flags["lr_decay_power"])
        self.sparse = bool(config["variables_with_row_sparse_gradient"])
        self.limits = ELECTRIC if flags["electric_objective"] else DENSE
        self.limits = (UNIFORM if flags["uniform_generator"] else UNTIED) if self.sparse else self.limits
        if not self.detects:
            self.limits = {name: limit for name, limit in self.limits.items() if name != "labels"}

    def fed(self, step):
        """(batch, what was drawn) of one step."""
        a = self.at(step)
        names = ("masked_input_ids", "masked_lm_positions", "masked_lm_ids", "masked_lm_weights")
        masked = Masked(*(a[name] for name in names))
        batch = {name: a[name] for name in ("input_ids", "input_mask", "segment_ids")}
        if self.detects:
            return batch, electra.Draw(masked, tf.zeros_like(masked.weights), None, a["corrupted_input_ids"])
        nothing = tf.zeros_like(batch["input_mask"][:, 0])
        return batch, masked_lm.Draw(masked, batch["segment_ids"], nothing, tf.cast(nothing, tf.float32))

    def expected(self, number, outputs, way=""):
        """(quantity, ours, recorded) of what a step computed, `outputs` by name."""
        a, suffix = self.arrays, "onehot_" if self.sparse else ""
        if self.detects:
            c = self.settings
            total = c.mlm_weight * outputs["generator_loss"] + c.disc_weight * outputs["disc_loss"]
            yield "labels", outputs["labels"], a["is_replaced"][number]
        else:
            total = outputs["mlm_loss"]
        yield "losses, relative", total, a[f"{suffix}total_loss"][number]
        if not self.sparse or number == 0:
            weights = a["masked_lm_weights"][number]
            if self.detects:
                yield "losses, relative", outputs["generator_loss"], a[self.learned][number]
                yield "losses, relative", outputs["disc_loss"], a["disc_loss"][number]
                yield "logits", outputs["disc_logits"], a["disc_logits"][number]
            yield "logits", outputs["mlm_position_loss"] * weights, a["mlm_per_position_loss"][number] * weights
        for at, name in ((0, "mlm_logits_first"), (len(self) - 1, "mlm_logits_last")):
            if number == at and (at == 0 or not self.sparse):
                yield "logits", outputs["mlm_logits"], a[name]

    def norm(self, number, way=""):
        return self.arrays["onehot_grad_norm" if self.sparse else "grad_norm"][number]

    def checkpoint(self, name):
        """(weights, m, v) of `initial` or `final`, in our names, and the table of their names."""
        saved = read_tf1(self.folder / f"{name}.ckpt")
        return (saved.weights, saved.slots_m, saved.slots_v), saved.layout.tensors()


class AlbertRecording(Recording):
    """Of Google's ALBERT: masked LM and sentence order."""

    def __init__(self, folder, config, arrays):
        super().__init__(folder, config, arrays)
        train = json.loads((folder / "train.json").read_text())
        self.initial = read_albert(folder / "initial.ckpt")
        fields = dataclasses.asdict(self.initial.config)
        self.settings, self.masking = MaskedLM("albert_base_v2", fields, order_weight=1.0), Masking()
        tokens = Tokens(0, 1, 2, 3, 4, config["vocab_size"], np.ones(config["vocab_size"], bool))
        self.steps = train["num_train_steps"]
        self.build = lambda: masked_lm.MaskedLanguageModelling(self.settings, self.masking, tokens, self.steps)
        self.optimizer = {"lamb": Lamb, "adamw": AdamW}[train["optimizer"]]()
        warmup = train["num_warmup_steps"]
        self.schedule = Schedule("switch", train["learning_rate"], warmup, train["poly_power"])
        self.limits = ALBERT

    def fed(self, step):
        """(batch, what was drawn) of one step."""
        a = self.at(step)
        names = ("input_ids", "masked_lm_positions", "masked_lm_ids", "masked_lm_weights")
        batch = {name: a[name] for name in ("input_ids", "input_mask", "segment_ids")}
        labels = a["next_sentence_labels"][:, 0]
        masked = Masked(*(a[name] for name in names))
        return batch, masked_lm.Draw(masked, a["segment_ids"], labels, tf.ones_like(labels, tf.float32))

    def expected(self, number, outputs, way=""):
        """(quantity, ours, recorded) of what a step computed, `outputs` by name."""
        a = self.arrays
        yield "losses, relative", outputs["mlm_loss"] + outputs["order_loss"], a["total_loss"][number]
        yield "losses, relative", outputs["mlm_loss"], a["mlm_loss"][number]
        yield "losses, relative", outputs["order_loss"], a["sop_loss"][number]
        for at, name in ((0, "first"), (len(self) - 1, "last")):
            if number == at:
                yield "logits", outputs["mlm_logits"], a[f"mlm_logits_{name}"]
                yield "logits", outputs["order_logits"], a[f"sop_logits_{name}"]
                yield "logits", outputs["mlm_position_loss"], a[f"mlm_example_loss_{name}"]

    def norm(self, number, way=""):
        return self.arrays["grad_norm"][number]

    def checkpoint(self, name):
        """(weights, m, v) of `initial` or `final`, in our names, and the table of their names."""
        saved = read_albert(self.folder / f"{name}.ckpt")
        table = model_tensors(dataclasses.asdict(saved.config), "generator", saved.heads)
        groups = (saved.weights, saved.slots_m, saved.slots_v)
        return tuple(with_tower_called(group, "encoder", "generator") for group in groups), table

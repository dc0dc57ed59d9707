"""Fine-tuning recorded from Google's ELECTRA and ALBERT, in the product's terms; see `golden_recordings`."""

import dataclasses

import numpy as np
import tensorflow as tf
from golden_recordings import Recording

from electra_tf.checkpoints.containers.tf1_bundle import read_variables
from electra_tf.checkpoints.google_electra import read_tf1
from electra_tf.checkpoints.google_heads import LAYERS
from electra_tf.checkpoints.translation import translate, with_tower_called
from electra_tf.checkpoints.weight_names import model_tensors
from electra_tf.finetuning.classification import Classification, Regression
from electra_tf.finetuning.multi_task import Several
from electra_tf.finetuning.multiple_choice import Choice
from electra_tf.finetuning.objective import TaskObjective
from electra_tf.finetuning.question_answering import Spans
from electra_tf.finetuning.tagging import Tagging
from electra_tf.finetuning.tags import Scheme
from electra_tf.models.config import EncoderConfig
from electra_tf.optimizers.adamw import AdamW
from electra_tf.optimizers.schedules import Schedule

_COMMON = {"gradient norm, relative": (2e-6, 3e-4), "learning rate, relative": (1e-6, 1e-6)}
OF_ELECTRA = {
    "total loss, relative": (1e-6, 5e-6),
    "losses of examples": (5e-6, 2e-5),
    "scores of places": (5e-6, 2e-4),
    "other outputs": (5e-6, 5e-5),
    **_COMMON,
}
OF_CLASSIFIER = OF_ELECTRA | {"other outputs": (5e-6, 1e-4), "gradient norm, relative": (2e-6, 5e-4)}
OF_ALBERT = {
    "total loss, relative": (1e-6, 5e-6),
    "scores of places": (5e-6, 1e-4),
    "other outputs": (5e-6, 1e-4),
    **_COMMON,
    "gradient norm, relative": (2e-6, 2e-4),
}
_ROWS = ("input_ids", "input_mask", "segment_ids")


def open_tasks(folder, config, arrays):
    """The recording in a folder of fine-tuning."""
    return AlbertTask(folder, config, arrays) if "config" in config else ElectraTasks(folder, config, arrays)


class TaskRecording(Recording):
    """What both families have.

    Attributes:
        ways: how it is replayed: `one_hot`, against the recording whose table of words has a dense gradient; or, for
            ELECTRA, `lookup`, against the whole of the other one. That clips by a norm in which a token that stands
            twice in a batch counts twice; the step here adds up such rows first, so that in this way it is given the
            recorded norm to clip by, and its own is compared with the recorded dense one.
        names: of the variables there, in their order. ours: what they are called here, and which of them are turned.
    """

    def finish(self, initial: dict, optimizer: dict, decay: float):
        """Takes what there is to train: initial weights by our names, and the optimizer."""
        self.initial = initial
        self.optimizer = AdamW(
            beta_1=optimizer["beta_1"],
            beta_2=optimizer["beta_2"],
            epsilon=optimizer["epsilon"],
            bias_correction=optimizer["bias_correction"],
            weight_decay=decay,
            clip_norm=optimizer["clip_global_norm"],
        )

    def observe(self, objective):
        """In the place of its `measure`: losses of the rows and what the heads give, by name."""

        def measure(batch, drawn, outputs):
            losses = self.losses(objective.task, outputs, batch)
            return {f"loss/{name}": loss for name, loss in losses.items()} | self.named(outputs)

        return measure

    def losses(self, task, outputs, batch):
        loss = task.loss(outputs, batch) * batch["weight"]
        return {"": tf.reduce_sum(loss, tf.range(1, tf.rank(loss)))}

    def checkpoint(self, name):
        """(weights) of `initial`, in our names."""
        return (self.initial,), None

    def final_rows(self, step):
        """Rows of the final weights, and of the norms of both moments."""
        a, worst = self.arrays, dict.fromkeys(self.final_limits, 0.0)
        silent = set(self.config.get("variables_with_zero_true_gradient", ()))
        for number, (theirs, first) in enumerate(zip(self.names, a["final_offsets"], strict=False)):
            name, turn = self.ours[theirs]
            if name not in step.weights:  # a pooler that nothing reads
                continue
            mine = [np.array(self.part_of(theirs, group[name].numpy())) for group in (step.weights, step.m, step.v)]
            mine = [array.T if turn else array for array in mine]
            sample = mine[0].reshape(-1)[:: self.every if mine[0].size > 512 else 1]
            apart = np.abs(sample - a["final_sample"][first : first + sample.size]).max()
            kind = "final weights, no gradient" if theirs in silent or theirs.endswith("key/bias") else "final weights"
            worst[kind] = max(worst[kind], float(apart))
            for array, slot in zip(mine[1:], ("slot_norm_m", "slot_norm_v"), strict=True):
                recorded = float(a[slot][number])
                if np.isnan(recorded) or kind != "final weights":
                    continue
                apart = abs(np.linalg.norm(np.float64(array)) / recorded - 1)
                worst["final slots' norms, relative"] = max(worst["final slots' norms, relative"], apart)
        return [(name, None, value, None, self.final_limits[name]) for name, value in worst.items()]

    def part_of(self, theirs, array):
        """Of query, key and value, which are one here, the one that is meant."""
        for place, part in enumerate(("query", "key", "value")):
            if f"/self/{part}/" in theirs:
                return np.split(array, 3, axis=-1)[place]
        return array


class ElectraTasks(TaskRecording):
    """Of Google's ELECTRA: one task, or several on one encoder."""

    every = 5

    def __init__(self, folder, config, arrays):
        flags = config["flags"]
        self.tasks, self.single = flags["task_names"], config.get("kind") == "finetuning_classification"
        if self.single:  # the older folder has names of its own
            arrays = dict(arrays)
            arrays |= {f"in/{name}": arrays[name] for name in (*_ROWS, "task_id")}
            (task,) = self.tasks
            arrays |= {f"in/{task}_label_ids": arrays["label_ids"], f"{task}_loss": arrays["per_example_loss"]}
            arrays |= {f"{task}_logits": arrays["logits"]}
        super().__init__(folder, config, _whole(arrays))
        self.steps = config["num_train_steps"]
        encoder = EncoderConfig.from_dict({**config["bert_config"], "embedding_size": flags["embedding_size"]})
        encoder = encoder.replace(classifier_dropout_prob=0.0)  # it was switched off
        tasks = {name: self._task(name, flags) for name in self.tasks}
        task = tasks[self.tasks[0]] if len(tasks) == 1 else Several(tasks, encoder)
        self.build = lambda: TaskObjective(encoder, task, flags["layerwise_lr_decay"], sum_loss=True, decay_gap=True)
        saved = read_tf1(folder / "initial.ckpt" if self.single else folder.parent / "encoder.ckpt")
        table = model_tensors(dataclasses.asdict(encoder), "discriminator", ())
        self.ours = {}
        for tensor in table:
            ours = tensor.ours.replace("discriminator/", "encoder/", 1)
            self.ours |= {theirs: (ours, False) for theirs in tensor.tf1}
        weights = {name: array for name, array in saved.weights.items() if name.startswith("discriminator/")}
        weights = with_tower_called(weights, "discriminator", "encoder")
        if self.single:
            head = {name: array for name, array in saved.weights.items() if name.startswith("task_specific/")}
        else:
            with np.load(folder / "head.npz") as arrays:
                head = dict(arrays)
        for theirs, array in head.items():
            _, name, layer, part = theirs.split("/")
            inside = f"{name}/" if len(tasks) > 1 else ""
            self.ours[theirs] = f"{inside}{self._layer(tasks[name], encoder, layer)}/{part}", False
            weights[self.ours[theirs][0]] = array
        self.names = [str(name) for name in self.arrays["var_names"]]
        self.finish(weights, config["optimizer"], flags["weight_decay_rate"])
        self.schedule = Schedule("product", flags["learning_rate"], self.steps * flags["warmup_proportion"])
        self.limits = OF_CLASSIFIER if self.single else OF_ELECTRA
        loss = (1e-6, 2e-5) if "sts" in self.tasks else self.limits["total loss, relative"]
        self.limits = self.limits | {"total loss, relative": loss}
        self.final_limits = {"final weights": 1e-5 if self.single else 5e-6}
        self.final_limits |= {"final weights, no gradient": 3e-5 if self.single else 3e-4}
        self.final_limits |= {"final slots' norms, relative": 2e-4}
        if self.single:
            self._take_final()

    @property
    def ways(self):
        """A table that is looked up otherwise changes no loss before the first update: where it does, the recording
        began from other weights than those that are kept."""
        first, other = (float(self.arrays[name][0]) for name in ("total_loss", "onehot_total_loss"))
        return ("lookup", "one_hot") if abs(other / first - 1) < 1e-4 else ("lookup",)

    def _task(self, name, flags):
        if name == "sts":
            return Regression(0.0, 1.0, google_head=True)
        if name == "chunk":
            tags = self.config["tag_labels"]
            return Tagging(tuple(map(str, range(tags))), (1.0,) * tags, Scheme("none"), google_head=True)
        if "squad" in name:
            parts = ["answer_start", "answer_end_by_start" if flags["joint_prediction"] else "answer_end"]
            if flags["answerable_classifier"]:
                parts.append("answerable_by_start" if flags["answerable_uses_start_logits"] else "answerable")
            return Spans(tuple(parts), beam=flags["beam_size"])
        labels = self.arrays[f"{name}_logits"].shape[-1]
        return Classification(tuple(map(str, range(labels))), (1.0,) * labels, google_head=True)

    @staticmethod
    def _layer(task, encoder, layer):
        heads = ("first_token_classifier",) if task.kind == "tagging" else task.heads(encoder)
        return {theirs: ours for head in heads for theirs, ours in LAYERS[head].items()}[layer]

    def _take_final(self):
        """The final checkpoint as the newer folders have it."""
        final = read_tf1(self.folder / "final.ckpt")
        table = final.layout.tensors()
        groups = [translate(group, table, "ours", "tf1") for group in (final.weights, final.slots_m, final.slots_v)]
        cut = [groups[0][name].reshape(-1)[:: self.every if groups[0][name].size > 512 else 1] for name in self.names]
        offsets = np.cumsum([0, *map(len, cut)])
        norms = [np.array([np.linalg.norm(np.float64(group[name])) for name in self.names]) for group in groups[1:]]
        self.arrays |= {"final_sample": np.concatenate(cut), "final_offsets": offsets}
        self.arrays |= {"slot_norm_m": norms[0], "slot_norm_v": norms[1]}

    def fed(self, step):
        a = {name.removeprefix("in/"): array[step] for name, array in self.arrays.items() if name.startswith("in/")}
        batch = {name: a[name] for name in _ROWS}
        several = len(self.tasks) > 1
        for number, name in enumerate(self.tasks):
            own, fields = (a["task_id"] == number).astype(np.float32), {"weight": None}
            if name == "chunk":
                places = a["chunk_labeled_positions"]
                fields = {"unit_positions": places, "target": a["chunk_labels"].astype(np.int32)}
                fields["weight"] = a["chunk_labels_mask"] * own[:, None]
            elif "squad" in name:
                fields = {"start": a[f"{name}_start_positions"], "end": a[f"{name}_end_positions"]}
                fields |= {"impossible": a[f"{name}_is_impossible"].astype(np.float32), "weight": own}
                first = np.eye(batch["input_ids"].shape[1], dtype=np.int32)[0]
                fields["allowed"] = batch["input_mask"] * batch["segment_ids"] + first
            elif name == "sts":
                fields = {"target": a["sts_targets"], "weight": own}
            else:
                fields = {"target": a[f"{name}_label_ids"], "weight": own}
            batch |= {f"{name}/{key}" if several else key: value for key, value in fields.items()}
        if several:
            batch["weight"] = np.ones(len(a["task_id"]), np.float32)
        return {name: tf.constant(array) for name, array in batch.items()}, ()

    def losses(self, task, outputs, batch):
        return task.losses(outputs, batch) if isinstance(task, Several) else super().losses(task, outputs, batch)

    def named(self, outputs):
        """The tensors of the heads, by task and what they are."""
        outputs = outputs if isinstance(outputs, dict) else {self.tasks[0]: outputs}
        found = {}
        for name, output in outputs.items():
            parts = output if isinstance(output, tuple) else (output,)
            kinds = ("start", "end", None, "no_answer") if isinstance(output, tuple) else ("output",)
            found |= {f"{name}/{kind}": x for kind, x in zip(kinds, parts, strict=True) if kind and x is not None}
        return found

    def expected(self, number, outputs, way="lookup"):
        a, real = self.arrays, self.arrays["in/task_id"][number] < len(self.tasks)
        total = sum(np.float64(loss).sum() for name, loss in outputs.items() if name.startswith("loss/"))
        if way == "one_hot":
            yield "total loss, relative", total, a["onehot_total_loss"][number]
            return
        yield "total loss, relative", total, a["total_loss"][number]
        for place, name in enumerate(self.tasks):
            own = a["in/task_id"][number] == place
            several = len(self.tasks) > 1
            yield "losses of examples", outputs[f"loss/{name if several else ''}"][own], a[f"{name}_loss"][number][own]
            if name == "chunk":
                for at, which in ((0, 0), (len(self) - 1, 1)):
                    if number == at:
                        words = a["in/chunk_labels_mask"][number] * own[:, None] > 0
                        yield (
                            "other outputs",
                            outputs["chunk/output"][words],
                            a["chunk_logits_first_last"][which][words],
                        )
            elif "squad" in name:
                for kind in ("start", "end"):
                    ours, theirs = outputs[f"{name}/{kind}"][real], a[f"{name}_{kind}_logits"][number][real]
                    allowed = self._allowed(number)[real] > 0
                    yield "scores of places", log_softmax(ours)[allowed], log_softmax(theirs)[allowed]
                if f"{name}/no_answer" in outputs:
                    theirs = a[f"{name}_answerable_logit"][number][real]
                    yield "other outputs", outputs[f"{name}/no_answer"][real], theirs
            elif name == "sts":
                yield "other outputs", outputs["sts/output"][real][:, 0], a["sts_predictions"][number][real]
            else:
                yield "other outputs", outputs[f"{name}/output"][own], a[f"{name}_logits"][number][own]

    def _allowed(self, number):
        a = self.arrays
        return a["in/input_mask"][number] * a["in/segment_ids"][number] + np.eye(a["in/input_ids"].shape[-1])[0]

    def norm(self, number, way="lookup"):
        return self.arrays["grad_norm_dense" if way == "lookup" else "onehot_grad_norm"][number]

    def clip_norm(self, number, way):
        """What the recording clipped by, where it is not the norm of the step here; else None."""
        return self.arrays["grad_norm"][number] if way == "lookup" else None

    def rates(self, step, rate, number):
        """Pairs of rates, ours and recorded, of each group of weights."""
        for column, key in enumerate(self.arrays["learning_rate_group_names"]):
            theirs = next(name for name in self.names if str(key) in f"/{name}")
            own = rate * step.groups[self.ours[theirs][0]].rate
            yield own, self.arrays["learning_rate_groups"][number][column]

    def predicted(self, objective):
        """(quantity, ours, recorded) of the last batch with the final weights, as in prediction."""
        a = self.arrays
        if self.single:  # not recorded
            return
        batch, _ = self.fed(len(self) - 1)
        real = a["in/task_id"][-1] < len(self.tasks)
        outputs = objective.outputs(batch)
        outputs = outputs if isinstance(outputs, dict) else {self.tasks[0]: outputs}
        for place, name in enumerate(self.tasks):
            own = a["in/task_id"][-1] == place
            if name == "chunk":
                words = a["in/chunk_labels_mask"][-1] * own[:, None] > 0
                found = outputs[name].numpy()
                yield "other outputs", found[words], a["predict/chunk_logits"][words]
                yield "indices", found.argmax(-1)[words], a["predict/chunk_predictions"][words]
            elif "squad" in name:
                yield from self._answers(name, outputs[name], real)
            elif name == "sts":
                yield "other outputs", outputs[name].numpy()[own, 0], a["predict/sts_predictions"][own]
            else:
                yield "other outputs", outputs[name].numpy()[own], a[f"predict/{name}_logits"][own]
                yield "indices", outputs[name].numpy().argmax(-1)[own], a[f"predict/{name}_predictions"][own]

    def _answers(self, name, outputs, real):
        a = self.arrays
        start, end, starts, no_answer = (None if x is None else x.numpy() for x in outputs)
        if no_answer is not None:
            yield "other outputs", no_answer[real], a[f"predict/{name}_answerable_logit"][real]
        if starts is None:
            yield "scores of places", log_softmax(end)[real], log_softmax(a[f"predict/{name}_end_logits"])[real]
            return
        beam = starts.shape[1]
        yield "indices", starts[real], a[f"predict/{name}_start_top_index"][real]
        found = np.take_along_axis(log_softmax(start), starts, -1)
        yield "scores of places", found[real], a[f"predict/{name}_start_top_log_probs"][real]
        ends = np.argsort(-end, -1, kind="stable")[..., :beam]
        yield "indices", ends[real], a[f"predict/{name}_end_top_index"][real]
        found = np.take_along_axis(log_softmax(end), ends, -1)
        yield "scores of places", found[real], a[f"predict/{name}_end_top_log_probs"][real]


class AlbertTask(TaskRecording):
    """Of Google's ALBERT: one task, mean losses, dense gradients."""

    ways, every = ("one_hot",), 3

    def __init__(self, folder, config, arrays):
        super().__init__(folder, config, _whole(arrays))
        self.kind, self.steps = config["variant"], config["num_train_steps"]
        # Dropout was switched off; Google's gelu is the tanh form.
        encoder = EncoderConfig.from_dict(config["config"] | {"model_type": "albert", "hidden_act": "gelu_new"})
        encoder, labels = encoder.replace(classifier_dropout_prob=0.0), config["num_labels"] or 1
        if self.kind == "classification":
            task = Classification(tuple(map(str, range(labels))), (1.0,) * labels)
        elif self.kind == "race":
            task, labels = Choice(), 1
        elif self.kind == "regression":
            task, labels = Regression(0.0, 1.0), 1
        else:
            parts = "question_answering" if self.kind == "squad_v1" else "conditional_answers"
            task = Spans((parts,), beam=config.get("start_n_top", 5))
        self.build = lambda: TaskObjective(encoder, task)
        fields = dataclasses.asdict(encoder) | {"num_labels": labels}
        heads = task.heads(encoder)
        table = model_tensors(fields, "encoder", ("pooler", *(head for head in heads if head != "pooler")))
        self.ours = {theirs: (t.ours, "tf1" in t.turned) for t in table for theirs in t.tf1}
        with np.load(folder / "head.npz") as arrays:
            head = dict(arrays)
        # The heads of pre-training are there in part, and not read.
        own = [tensor for tensor in table if tensor.ours.startswith(("encoder/", "pooler/"))]
        saved = read_variables(folder.parent / "encoder.ckpt")
        wanted = {name for tensor in own for name in tensor.tf1}
        known = translate({name: array for name, array in saved.items() if name in wanted}, own, "tf1", "ours")
        for theirs, array in head.items():
            ours, turned = self.ours[theirs]
            known[ours] = array.T if turned else array
        if "pooler" not in heads:
            known = {name: array for name, array in known.items() if not name.startswith("pooler/")}
        self.names = [str(name) for name in self.arrays["var_names"]]
        self.finish(known, config["optimizer"], config["optimizer"]["weight_decay"])
        self.schedule = Schedule("switch", config["learning_rate"], config["num_warmup_steps"])
        self.limits = OF_ALBERT
        self.final_limits = {"final weights": 3e-5 if self.kind == "race" else 1e-5}
        self.final_limits |= {"final weights, no gradient": 5e-4, "final slots' norms, relative": 2e-4}

    def fed(self, step):
        a = {name.removeprefix("in/"): array[step] for name, array in self.arrays.items() if name.startswith("in/")}
        rows, batch = len(a["input_ids"]), {name: a[name] for name in _ROWS}
        batch["weight"] = np.ones(rows, np.float32)
        if self.kind == "race":
            batch |= {name: a[name].reshape(rows, self.config["num_labels"], -1) for name in _ROWS}
        if "squad" in self.kind:
            batch |= {"start": a["start_positions"], "end": a["end_positions"]}
            if self.kind == "squad_v2":
                batch |= {"impossible": a["is_impossible"].astype(np.float32)}
                batch |= {"allowed": (1 - a["p_mask"]).astype(np.int32)}
        else:
            batch["target"] = a["label_ids"]
        return {name: tf.constant(array) for name, array in batch.items()}, ()

    def named(self, outputs):
        if not isinstance(outputs, tuple):
            return {"output": outputs}
        kinds = ("start", "end", None, "no_answer")
        return {kind: x for kind, x in zip(kinds, outputs, strict=True) if kind and x is not None}

    def expected(self, number, outputs, way="one_hot"):
        a = self.arrays
        yield "total loss, relative", outputs["loss/"].mean(), a["total_loss"][number]
        if self.kind == "squad_v1":
            for kind in ("start", "end"):
                yield "scores of places", log_softmax(outputs[kind]), log_softmax(a[f"{kind}_logits"][number])
        elif self.kind == "squad_v2":
            allowed = a["in/p_mask"][number] == 0
            for kind in ("start", "end"):
                yield "scores of places", log_softmax(outputs[kind])[allowed], a[f"{kind}_log_probs"][number][allowed]
            yield "other outputs", outputs["no_answer"], a["cls_logits"][number]
        elif self.kind == "race":
            yield "other outputs", log_softmax(outputs["output"]), log_softmax(a["logits"][number])
        else:
            yield "other outputs", outputs["output"].reshape(a["logits"][number].shape), a["logits"][number]

    def norm(self, number, way="one_hot"):
        return self.arrays["grad_norm"][number]

    def predicted(self, objective):
        a = self.arrays
        batch, _ = self.fed(len(self) - 1)
        outputs = objective.outputs(batch)
        if self.kind == "squad_v1":
            for place, kind in enumerate(("start", "end")):
                theirs = log_softmax(a[f"predict/{kind}_log_prob"])
                yield "scores of places", log_softmax(outputs[place].numpy()), theirs
        elif self.kind == "squad_v2":
            start, end, starts, no_answer = (x.numpy() for x in outputs)
            yield "indices", starts, a["predict/start_top_index"]
            found = np.take_along_axis(log_softmax(start), starts, -1)
            yield "scores of places", found, a["predict/start_top_log_probs"]
            ends = np.argsort(-end, -1, kind="stable")[..., : self.config["end_n_top"]]
            yield "indices", ends.reshape(len(ends), -1), a["predict/end_top_index"]
            found = np.take_along_axis(log_softmax(end), ends, -1).reshape(len(ends), -1)
            yield "scores of places", found, a["predict/end_top_log_probs"]
            yield "other outputs", no_answer, a["predict/cls_logits"]
        elif self.kind == "regression":
            yield "other outputs", outputs.numpy()[:, 0], a["predict/predictions"]
        else:
            yield "indices", outputs.numpy().argmax(-1), a["predict/predictions"]
            shares = np.exp(log_softmax(outputs.numpy()))
            yield "other outputs", shares, a["predict/probabilities"]


def _whole(arrays):
    """Small integers as int32."""
    return {name: a.astype(np.int32) if a.dtype.kind in "iu" else a for name, a in arrays.items()}


def log_softmax(x):
    """Over the last axis, float64."""
    x = np.float64(x) - np.max(x, -1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))

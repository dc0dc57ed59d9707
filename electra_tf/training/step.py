"""One optimizer step: rows of the batch -> loss and gradients -> sum over replicas -> clip -> update."""

from typing import NamedTuple

import tensorflow as tf

from electra_tf.optimizers.adamw import AdamW
from electra_tf.optimizers.clipping import clip_scale, global_norm
from electra_tf.optimizers.groups import Group
from electra_tf.optimizers.schedules import Schedule
from electra_tf.training.compilation import compile_objective, settle_graphs
from electra_tf.training.objective import Objective
from electra_tf.training.programs import program
from electra_tf.training.randomness import seed_of


class Step:
    """What training changes, and how.

    Args:
        objective: it and this object are made under the strategy's scope.
        optimizer, schedule: an `AdamW` or `Lamb`, and the learning rate of a run of so many `steps`.
        seed: all randomness is a function of it and the step.
        compiler: see `compilation`.
        micro_batches: parts of a replica's rows whose gradients are added up before the update.
        normalise_per_replica: each replica divides by its own totals, and means are averaged, as the originals do.
        bias_from_begin: whether bias is corrected from the step at which a weight begins; else from the run's first.

    Attributes:
        weights, m, v: variables by name; m and v of those that are trained. finished: int64, number of finished steps.
        sums: names and shapes of what a call returns.
        metrics: how metrics follow from sums of calls.
    """

    def __init__(
        self,
        objective: Objective,
        optimizer: AdamW,
        schedule: Schedule,
        steps: int,
        seed: int,
        compiler: str = "graph",
        micro_batches: int = 1,
        normalise_per_replica: bool = False,
        bias_from_begin: bool = True,
    ):
        self.objective, self.optimizer, self.schedule, self.steps = objective, optimizer, schedule, steps
        self.seed, self.micro_batches, self.normalise_per_replica = seed, micro_batches, normalise_per_replica
        self.bias_from_begin, self.weights = bias_from_begin, objective.weights
        self.groups = {name: objective.group(name) for name in self.weights}
        self.groups = {name: group for name, group in self.groups.items() if group.rate}
        self.trained = {name: self.weights[name] for name in self.groups}
        self.m = {name: _slot(w, f"adam_m/{name}") for name, w in self.trained.items()}
        self.v = {name: _slot(w, f"adam_v/{name}") for name, w in self.trained.items()}
        self.finished = tf.Variable(0, dtype=tf.int64, trainable=False, name="step")

        # TensorFlow sorts what it adds by the names of operations, so that the last bit of a norm depends on the order
        # in which norms are computed: it stays as it always was.
        self.parts = tuple(dict.fromkeys(group.norm for group in self.groups.values()))[::-1]
        self.norm_names = ("grad_norm", *(f"{part}_grad_norm" for part in self.parts if len(self.parts) > 1))
        self.sums = {"steps": (), **objective.readings.sums, **dict.fromkeys(self.norm_names, ())}
        self._together = _updated_together(self.trained, optimizer, self.groups)
        settle_graphs(compiler)
        self._update = program(optimizer.update) if compiler in ("islands", "xla") else optimizer.update
        self._part = program(self._part_gradients) if compiler == "xla" else self._part_gradients
        compile_objective(objective, compiler)

    def __call__(self, batch):
        """One step, in replica context.

        Args:
            batch: tensors whose first axis is the row of the global batch, the same on every replica.

        Returns: sums over the global batch of what the objective measures, and the gradient's norms.
        """
        gradients, sums = sum_over_replicas(self.gradients(batch))
        gradients = {name: self._once_begun(name, gradient) for name, gradient in gradients.items()}
        norms = self.norms(gradients)
        self.apply_gradients(gradients, norms)
        return {"steps": tf.ones([]), **sums, **norms}

    def gradients(self, batch, drawn=None):
        """Gradients of the global batch's loss with respect to this replica's rows, not yet added up.

        Args:
            batch: the whole global batch; every replica is given it and takes its rows.
            drawn: for the global batch, instead of drawing.

        Returns: (gradients by name, what the objective measures).
        """
        context = tf.distribute.get_replica_context()
        replicas, replica = context.num_replicas_in_sync, tf.cast(context.replica_id_in_sync_group, tf.int32)
        rows = next(iter(batch.values())).shape[0] // (replicas * self.micro_batches)
        drawn = self.draw(batch) if drawn is None else drawn
        totals = self.totals(batch, drawn, replica, replicas)
        seed = seed_of(self.seed, "dropout", self.finished)

        def part(index):
            first = (replica * self.micro_batches + index) * rows
            return self._part(_rows((batch, drawn), first, rows), totals, tf.concat([seed, [first]], 0))

        def add(index, added):
            return index + 1, tf.nest.map_structure(tf.add, added, part(index))

        added = part(tf.constant(0))
        if self.micro_batches > 1:
            _, added = tf.while_loop(lambda i, _: i < self.micro_batches, add, (tf.constant(1), added))
        return added

    def draw(self, batch):
        """What is random of the global batch at this step."""
        return self.objective.draw(batch, self.seed, self.finished)

    def totals(self, batch, drawn, replica, replicas):
        """Of the global batch; with `normalise_per_replica`, such that the mean of local means results."""
        if not self.normalise_per_replica:
            return self.objective.totals(batch, drawn)
        rows = next(iter(batch.values())).shape[0] // replicas
        local = self.objective.totals(*_rows((batch, drawn), replica * rows, rows))
        return tf.nest.map_structure(lambda total: total * replicas, local)

    def _part_gradients(self, rows, totals, seed):
        batch, drawn = rows
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(list(self.trained.values()))
            loss, outputs = self.objective.loss(batch, drawn, totals, seed, True)
        gradients = tape.gradient(loss, self.trained, unconnected_gradients="zero")
        gradients = {name: tf.convert_to_tensor(g) for name, g in gradients.items()}
        return gradients, self.objective.measure(batch, drawn, outputs)

    def norms(self, gradients) -> dict:
        """Global norms: of everything, and of each group."""
        norms = {
            f"{part}_grad_norm": global_norm([g for name, g in gradients.items() if self.groups[name].norm == part])
            for part in self.parts
        }
        if len(norms) == 1:
            return {"grad_norm": next(iter(norms.values()))}
        first, *others = (tf.square(norm) for norm in norms.values())
        return {"grad_norm": tf.sqrt(sum(others, first)), **norms}

    def apply_gradients(self, gradients, norms=None) -> None:
        """Clips by the global norm (one of `norms`, see there), updates every weight and counts the step."""
        norms, clip_norm = norms or self.norms(gradients), self.optimizer.clip_norm
        scale, rate = clip_scale(norms["grad_norm"], clip_norm), self.rate()
        scales = {begins: self._bias_scales(begins) for begins in {kind.group.begins for kind, _ in self._together}}
        for kind, names in self._together:
            w, g, m, v = (_joined(group, names) for group in (self.weights, gradients, self.m, self.v))
            if self.optimizer.clip_apart and len(norms) > 1:
                scale = clip_scale(norms[f"{kind.group.norm}_grad_norm"], clip_norm)
            decay = tf.constant(kind.decay)
            own_rate, bias_scales = self._own_rate(rate, kind.group), scales[kind.group.begins]
            updated = self._update(w, g, scale, m, v, own_rate, decay, *bias_scales, kind.parts)
            for group, values in zip((self.weights, self.m, self.v), updated, strict=True):
                for name, value in _parted(values, names, self.trained):
                    group[name].assign(value)
        self.finished.assign_add(1)

    def rate(self):
        """The schedule's rate at this step."""
        return self.schedule.rate(self.finished, self.steps)

    def _once_begun(self, name, gradient):
        begins = self.groups[name].begins
        return gradient * tf.cast(self.finished >= begins, tf.float32) if begins else gradient

    def _bias_scales(self, begins):
        """Of weights that move from the step `begins` on."""
        late = begins and self.bias_from_begin
        return self.optimizer.bias_scales(tf.maximum(self.finished - begins, 0) if late else self.finished)

    def _own_rate(self, rate, group: Group):
        """0 until the group begins, then up to its share of the schedule's rate in a warm-up of its own."""
        if group.begins:
            since = tf.cast(self.finished - group.begins, tf.float32)
            ramp = tf.minimum(1.0, since / max(1.0, float(self.schedule.warmup_steps)))
            rate = rate * tf.where(since < 0, 0.0, ramp if self.schedule.warmup_steps else 1.0)
        return rate if group.rate == 1.0 else rate * group.rate


class _Kind(NamedTuple):
    """What is the same for weights whose updates are computed joined."""

    decay: float
    group: Group
    parts: int


def _updated_together(weights, optimizer, groups) -> list[tuple[_Kind, list[str]]]:
    """Names by kind: a table or kernel alone, vectors of a kind together, as they are hundreds and small."""
    vectors, alone = {}, []
    for name, weight in weights.items():
        group = groups[name] if optimizer.clip_apart else groups[name]._replace(norm="")
        kind = _Kind(optimizer.decay_of(name), group, optimizer.parts(name))
        if len(weight.shape) == 1 and not kind.parts:
            vectors.setdefault(kind, []).append(name)
        else:
            alone.append((kind, [name]))
    return [*vectors.items(), *alone]


def _joined(tensors, names):
    tensors = [tf.convert_to_tensor(tensors[name]) for name in names]
    return tensors[0] if len(tensors) == 1 else tf.concat(tensors, 0)


def _parted(values, names, weights):
    parts = [values] if len(names) == 1 else tf.split(values, [weights[name].shape[0] for name in names])
    return zip(names, parts, strict=True)


def _slot(weight, name):
    return tf.Variable(tf.zeros(weight.shape), trainable=False, name=name)


def _rows(tensors, first, rows):
    """Rows `first .. first + rows - 1` of every tensor; what is known of its other axes stays known."""

    def take(x):
        if x is None:
            return x
        taken = tf.slice(x, [first, *[0] * (len(x.shape) - 1)], [rows, *[-1] * (len(x.shape) - 1)])
        return tf.ensure_shape(taken, [rows, *x.shape[1:]])

    return tf.nest.map_structure(take, tensors)


def sum_over_replicas(tensors):
    """The sum of every tensor over the replicas, in replica context."""
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return tensors
    return context.all_reduce(tf.distribute.ReduceOp.SUM, tensors)

"""One optimizer step: rows of the batch -> loss and gradients -> sum over replicas -> clip -> AdamW."""

import tensorflow as tf

from electra_tf.models.encoder import named_variables
from electra_tf.optimizers.adamw import AdamW, bias_scales, clip_scale, global_norm, update
from electra_tf.optimizers.schedules import Schedule
from electra_tf.pretraining import electra
from electra_tf.pretraining.randomness import seed_of
from electra_tf.training.compilation import compile_towers, island, settle_graphs

_GENERATOR = ("generator/", "masked_lm/")  # its own weights; what it shares is the discriminator's
NORMS = ("grad_norm", "generator_grad_norm", "discriminator_grad_norm")


class Step:
    """What training changes, and how.

    Args:
        model: an `Electra`; it and this object are made under the strategy's scope.
        rule, schedule: optimizer and learning rate.
        special_ids: of the vocabulary.
        run_seed: all randomness is a function of it and the step.
        compiler: see `compilation`.
        micro_batches: parts of a replica's rows whose gradients are added up before the update.
        observe: what to report of some rows, `f(batch, drawn, outputs) -> dict`, added up over all rows.
        generator_steps: for so many steps the generator's own weights alone change.

    Attributes:
        weights, m, v: variables by name. step: int64, number of finished steps.
        observed: names and shapes of what a call returns.
    """

    def __init__(
        self,
        model: electra.Electra,
        rule: AdamW,
        schedule: Schedule,
        special_ids: electra.SpecialIds,
        run_seed: int,
        compiler: str = "graph",
        micro_batches: int = 1,
        observe=electra.measure,
        generator_steps: int = 0,
    ):
        self.model, self.rule, self.schedule, self.special_ids = model, rule, schedule, special_ids
        self.run_seed, self.micro_batches, self.observe = run_seed, micro_batches, observe
        self.generator_steps = generator_steps
        self.observed = {**electra.OBSERVED, **dict.fromkeys(NORMS, ())}
        self.weights = {name: v.value for name, v in named_variables(model).items()}
        self.m = {name: _slot(w, f"adam_m/{name}") for name, w in self.weights.items()}
        self.v = {name: _slot(w, f"adam_v/{name}") for name, w in self.weights.items()}
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False, name="step")

        held = {name for name in self.weights if generator_steps and not name.startswith(_GENERATOR)}
        self._together = _updated_together(self.weights, self.rule, held)
        settle_graphs(compiler)
        compiled = island if compiler in ("islands", "xla") else lambda function: function
        self._update = compiled(lambda *tensors: update(self.rule, *tensors))
        self._part = island(self._part_gradients) if compiler == "xla" else self._part_gradients
        if compiler == "islands":
            compile_towers(model)

    def __call__(self, batch):
        """One step, in replica context.

        Args:
            batch: `input_ids`, `input_mask`, `segment_ids`, int32 [global B, T], the same on every replica.

        Returns: sums over the global batch of `observe`, and the gradient's norms, a dictionary of tensors.
        """
        gradients, observed = sum_over_replicas(self.gradients(batch))
        if self.generator_steps:
            on = tf.cast(self.step >= self.generator_steps, tf.float32)
            gradients = {n: g if n.startswith(_GENERATOR) else g * on for n, g in gradients.items()}
        observed |= self.norms(gradients)
        self.apply_gradients(gradients)
        return observed

    def gradients(self, batch, fed=None):
        """Gradients of the global batch's loss with respect to this replica's rows, not yet added up.

        Args:
            batch: the whole global batch; every replica is given it and takes its rows.
            fed: (Draw, corrupted input ids) of the global batch, instead of drawing and sampling.

        Returns: (gradients by name, observed).
        """
        context = tf.distribute.get_replica_context()
        replicas, replica = context.num_replicas_in_sync, tf.cast(context.replica_id_in_sync_group, tf.int32)
        rows = batch["input_ids"].shape[0] // (replicas * self.micro_batches)
        drawn = fed[0] if fed else self.draw(batch)
        tensors = (batch, drawn, fed[1]) if fed else (batch, drawn)
        total = self.normalisers(batch, drawn, replica, replicas)
        seed = seed_of(self.run_seed, "dropout", self.step)

        def part(index):
            first = (replica * self.micro_batches + index) * rows
            return self._part(_rows(tensors, first, rows), total, tf.concat([seed, [first]], 0))

        def add(index, added):
            return index + 1, tf.nest.map_structure(tf.add, added, part(index))

        added = part(tf.constant(0))
        if self.micro_batches > 1:
            _, added = tf.while_loop(lambda i, _: i < self.micro_batches, add, (tf.constant(1), added))
        return added

    def draw(self, batch):
        """Masks and numbers of the global batch at this step."""
        return electra.draw(batch, self.run_seed, self.step, self.model.config, self.special_ids)

    def normalisers(self, batch, drawn, replica, replicas):
        """Of the global batch; with `compat.normalise_per_replica`, such that the mean of local means results."""
        if not self.model.config.compat.normalise_per_replica:
            return electra.normalisers(batch, drawn)
        rows = batch["input_ids"].shape[0] // replicas
        local = electra.normalisers(*_rows((batch, drawn), replica * rows, rows))
        return electra.Normalisers(*(total * replicas for total in local))

    def _part_gradients(self, rows, total, seed):
        batch, drawn, *fed = rows
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(list(self.weights.values()))
            loss, outputs = electra.electra_loss(self.model, batch, drawn, total, seed, True, *fed)
        gradients = tape.gradient(loss, self.weights, unconnected_gradients="zero")
        gradients = {name: tf.convert_to_tensor(g) for name, g in gradients.items()}
        return gradients, self.observe(batch, drawn, outputs)

    def norms(self, gradients) -> dict:
        """Global norms: of everything, and of each tower (what both share counts with the discriminator)."""
        generator = [g for name, g in gradients.items() if name.startswith(_GENERATOR)]
        rest = [g for name, g in gradients.items() if not name.startswith(_GENERATOR)]
        ours, theirs = global_norm(generator), global_norm(rest)
        whole = tf.sqrt(tf.square(ours) + tf.square(theirs))
        return dict(zip(NORMS, (whole, ours, theirs), strict=True))

    def apply_gradients(self, gradients):
        """Clips by the global norm, updates every weight and counts the step."""
        scale = clip_scale(self.norms(gradients)["grad_norm"], self.rule.clip_norm)
        rate, scales = self.schedule(self.step), bias_scales(self.rule, self.step)
        for (decay, held), names in self._together:
            w, g, m, v = (_joined(group, names) for group in (self.weights, gradients, self.m, self.v))
            own_rate = rate * self._discriminator_learns() if held else rate
            updated = self._update(w, g, scale, m, v, own_rate, tf.constant(decay), *scales)
            for group, values in zip((self.weights, self.m, self.v), updated, strict=True):
                for name, value in _parted(values, names, self.weights):
                    group[name].assign(value)
        self.step.assign_add(1)

    def _discriminator_learns(self):
        """0.0 in the generator's own steps; then what all else learns at, up to 1.0 in a warm-up of its own."""
        since = tf.cast(self.step - self.generator_steps, tf.float32)
        ramp = tf.minimum(1.0, since / max(1.0, float(self.schedule.warmup_steps)))
        return tf.where(since < 0, 0.0, ramp if self.schedule.warmup_steps else 1.0)


def _updated_together(weights, rule, held) -> list[tuple[tuple[float, bool], list[str]]]:
    """((decay, is held), names): a table or kernel alone, all vectors together, as they are hundreds and small."""
    vectors, kinds = {}, {name: (rule.decay_of(name), name in held) for name in weights}
    for name, weight in weights.items():
        if len(weight.shape) == 1:
            vectors.setdefault(kinds[name], []).append(name)
    return [*vectors.items(), *((kinds[n], [n]) for n, w in weights.items() if len(w.shape) != 1)]


def _joined(tensors, names):
    tensors = [tf.convert_to_tensor(tensors[name]) for name in names]
    return tensors[0] if len(tensors) == 1 else tf.concat(tensors, 0)


def _parted(values, names, weights):
    parts = [values] if len(names) == 1 else tf.split(values, [weights[name].shape[0] for name in names])
    return zip(names, parts, strict=True)


def _slot(weight, name):
    return tf.Variable(tf.zeros(weight.shape), trainable=False, name=name)


def _rows(tensors, first, rows):
    """Rows `first .. first + rows - 1` of every tensor, with a static shape."""

    def take(x):
        return tf.slice(x, [first, *[0] * (len(x.shape) - 1)], [rows, *x.shape[1:]])

    return tf.nest.map_structure(take, tensors)


def sum_over_replicas(tensors):
    """The sum of every tensor over the replicas, in replica context."""
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return tensors
    return context.all_reduce(tf.distribute.ReduceOp.SUM, tensors)

"""ELECTRA's pre-training step written plainly with transformers' PyTorch classes: the peer of our benchmarks."""

import torch
from torch.nn import functional
from transformers import ElectraConfig, ElectraForMaskedLM, ElectraForPreTraining


class TorchElectra(torch.nn.Module):
    """Generator and discriminator with shared embeddings.

    Args:
        generator, discriminator: fields of `ElectraConfig`.
        gathered: compute the masked-LM head on masked positions only, and sample by inverse CDF in two levels, as our
            product does; otherwise the head sees all positions and samples come from Gumbel noise, as the classes are
            commonly used.
        disc_weight: of the discriminator's loss.
    """

    def __init__(self, generator: dict, discriminator: dict, gathered: bool = False, disc_weight: float = 50.0):
        super().__init__()
        self.generator = ElectraForMaskedLM(ElectraConfig(**generator))
        self.discriminator = ElectraForPreTraining(ElectraConfig(**discriminator))
        self.generator.electra.embeddings = self.discriminator.electra.embeddings
        self.generator.generator_lm_head.weight = self.discriminator.electra.embeddings.word_embeddings.weight
        self.gathered, self.disc_weight = gathered, disc_weight

    def forward(self, batch, masked, positions, ids, weights, sampled=None, numbers=None):
        """(total loss, masked-LM loss, discriminator loss, sampled ids) of one batch.

        Args:
            batch: input_ids, input_mask, segment_ids, int64 [B, T]. masked: the generator's input [B, T].
            positions, ids, weights: [B, P]. sampled: [B, P] to use instead of sampling. numbers: uniform [B, P].
        """
        real, types = batch["input_mask"], batch["segment_ids"]
        model = self.generator
        hidden = model.electra(masked, real, types)[0]
        if self.gathered:
            hidden = hidden.gather(1, positions[..., None].expand(-1, -1, hidden.shape[-1]))
            logits = model.generator_lm_head(model.generator_predictions(hidden))
        else:
            logits = model.generator_lm_head(model.generator_predictions(hidden))
            logits = logits.gather(1, positions[..., None].expand(-1, -1, logits.shape[-1]))
        loss = functional.cross_entropy(logits.flatten(0, 1), ids.flatten(), reduction="none")
        mlm = (loss * weights.flatten()).sum() / weights.sum()
        if sampled is None:
            with torch.no_grad():
                sampled = _two_levels(logits, numbers) if self.gathered else _gumbel(logits)
        corrupted = batch["input_ids"].clone()
        rows = torch.arange(len(corrupted))[:, None].expand_as(positions)
        counts = weights > 0
        corrupted[rows[counts], positions[counts]] = sampled[counts]
        replaced = (corrupted != batch["input_ids"]).float()
        scores = self.discriminator(corrupted, real, types).logits
        token = functional.binary_cross_entropy_with_logits(scores, replaced, reduction="none")
        disc = (token * real).sum() / real.sum()
        return mlm + self.disc_weight * disc, mlm, disc, sampled


def _gumbel(logits):
    noise = torch.rand_like(logits)
    return (logits - torch.log(-torch.log(noise + 1e-9) + 1e-9)).argmax(-1)


def _two_levels(logits, numbers, block=256):
    shape, vocabulary = logits.shape[:-1], logits.shape[-1]
    p = torch.exp(logits - logits.max(-1, keepdim=True).values).reshape(-1, vocabulary)
    p = functional.pad(p, (0, -vocabulary % block)).reshape(len(p), -1, block)
    mass = p.sum(-1).cumsum(-1)
    target = numbers.reshape(-1, 1) * mass[:, -1:]
    index = (mass <= target).sum(-1).clamp(max=mass.shape[-1] - 1)
    rows = torch.arange(len(p))
    rest = target[:, 0] - (mass[rows, index] - p.sum(-1)[rows, index])
    inside = (p[rows, index].cumsum(-1) <= rest[:, None]).sum(-1).clamp(max=block - 1)
    return (index * block + inside).clamp(max=vocabulary - 1).reshape(shape)


def product(peak, steps, warmup):
    """ELECTRA's schedule: warm-up times linear decay over all steps."""
    return lambda step: peak * (1 - step / steps) * min(1.0, step / warmup)


def linear(peak, steps, warmup):
    """transformers' schedule: up to the peak, then straight down."""
    return lambda step: peak * min(step / warmup, (steps - step) / (steps - warmup))


class PlainAdamW:
    """Google's AdamW, with or without bias correction; `rates` gives the learning rate after so many steps."""

    def __init__(self, named_parameters, rates, correct_bias=False, decay=0.01):
        self.parameters = dict(named_parameters)
        self.decays = {n: 0.0 if "LayerNorm" in n or "bias" in n else decay for n in self.parameters}
        self.m = {n: torch.zeros_like(p) for n, p in self.parameters.items()}
        self.v = {n: torch.zeros_like(p) for n, p in self.parameters.items()}
        self.rates, self.correct_bias, self.step_number = rates, correct_bias, 0

    @torch.no_grad()
    def step(self):
        """Clips to norm 1, updates, and clears the gradients. Returns the norm."""
        norm = torch.nn.utils.clip_grad_norm_(list(self.parameters.values()), 1.0)
        rate, t = self.rates(self.step_number), self.step_number + 1
        m_scale, v_scale = (1 / (1 - 0.9**t), 1 / (1 - 0.999**t)) if self.correct_bias else (1.0, 1.0)
        for name, p in self.parameters.items():
            m, v, g = self.m[name], self.v[name], p.grad
            m.mul_(0.9).add_(g, alpha=0.1)
            v.mul_(0.999).addcmul_(g, g, value=0.001)
            p.sub_(rate * (m * m_scale / ((v * v_scale).sqrt() + 1e-6) + self.decays[name] * p))
            p.grad = None
        self.step_number += 1
        return norm

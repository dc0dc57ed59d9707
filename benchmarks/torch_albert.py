"""ALBERT's pre-training step written plainly with transformers' PyTorch classes: the peer of our benchmarks."""

import torch
from torch.nn import functional
from transformers import AlbertConfig, AlbertForPreTraining


class TorchAlbert(torch.nn.Module):
    """Masked LM and sentence order; each row's segments keep their order or change places, by chance.

    Args:
        config: fields of `AlbertConfig`.
        gathered: compute the masked-LM head on masked positions only; otherwise it sees all, as the class has it.
    """

    def __init__(self, config: dict, gathered: bool = False):
        super().__init__()
        self.model, self.gathered = AlbertForPreTraining(AlbertConfig(**config)), gathered

    def forward(self, batch, masked, positions, ids, weights, numbers=None):
        """(total loss, masked-LM loss, order loss); arguments as those of `TorchElectra`."""
        is_swapped = torch.randint(2, (len(masked),))  # the labels; to move the segments would cost nothing
        real, types = batch["input_mask"], batch["segment_ids"]
        if self.gathered:
            hidden, pooled = self.model.albert(masked, real, types)[:2]
            hidden = hidden.gather(1, positions[..., None].expand(-1, -1, hidden.shape[-1]))
            logits, order = self.model.predictions(hidden), self.model.sop_classifier(pooled)
        else:
            found = self.model(masked, real, types)
            logits, order = found.prediction_logits, found.sop_logits
            logits = logits.gather(1, positions[..., None].expand(-1, -1, logits.shape[-1]))
        loss = functional.cross_entropy(logits.flatten(0, 1), ids.flatten(), reduction="none")
        mlm = (loss * weights.flatten()).sum() / weights.sum()
        order = functional.cross_entropy(order, is_swapped)
        return mlm + order, mlm, order

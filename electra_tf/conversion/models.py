"""A model of any class that transformers has for ELECTRA and ALBERT, with its weights under our names."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from electra_tf.conversion.names import MODEL_CLASSES
from electra_tf.conversion.torch_tensors import class_from_torch, class_of
from electra_tf.conversion.transformers_folder import read_config_fields, read_weights, weights_file
from electra_tf.errors import CheckpointError

if TYPE_CHECKING:
    import keras

    from electra_tf.models.config import EncoderConfig
    from electra_tf.models.encoder import Encoder

# Our Keras model of each task, by the end of the class's name.
_KERAS = {
    "Model": "Encoder",
    "ForPreTraining": "ReplacedTokenDetector",
    "ForMaskedLM": "MaskedLanguageModel",
    "ForSequenceClassification": "SequenceClassifier",
    "ForTokenClassification": "TokenClassifier",
    "ForQuestionAnswering": "QuestionAnswerer",
    "ForMultipleChoice": "MultipleChoice",
}


@dataclass(frozen=True)
class LoadedModel:
    """A model with its head.

    Attributes:
        name: transformers' class, one of `names.MODEL_CLASSES`.
        config: of its encoder. num_labels: of its classifier, where it has one.
        weights: all of them under our names.
        tokenizer: where its tokenizer is, or None.
        fields: the content of `config.json`.
    """

    name: str
    config: "EncoderConfig"
    num_labels: int
    weights: dict[str, np.ndarray]
    tokenizer: Path | None
    fields: dict

    def build(self, **kwargs) -> "keras.Model":
        """The Keras model; `kwargs` are Keras' (name, dtype). An `AlbertModel`'s pooler is left out."""
        from electra_tf import models

        task = self.name.removeprefix("Electra").removeprefix("Albert")
        if task == "Model":
            return self.build_encoder(**kwargs)
        name = "SentenceOrderModel" if self.name == "AlbertForPreTraining" else _KERAS[task]
        labels = {} if task in ("ForPreTraining", "ForMaskedLM") else {"num_labels": self.num_labels}
        model = getattr(models, name)(self.config, **labels, **kwargs)
        self._assign(model, "encoder/")
        return model

    def build_encoder(self, **kwargs) -> "Encoder":
        """The encoder alone."""
        from electra_tf.models import Encoder

        encoder = Encoder(self.config, **kwargs)
        self._assign(encoder, "")
        return encoder

    def _assign(self, model, prefix):
        from electra_tf.models import named_variables

        tower = f"{MODEL_CLASSES[self.name].tower}/"
        for name, variable in named_variables(model).items():
            variable.assign(self.weights[tower + name.removeprefix(prefix) if name.startswith(prefix) else name])


def read_model(folder) -> LoadedModel:
    """The model of a Hugging Face folder, whatever its class and the format of its weights.

    Raises: `CheckpointError` for missing or damaged files, a class that is not known, tensors that do not fit the
    configuration.
    """
    from electra_tf.models.config import EncoderConfig

    folder = Path(folder)
    fields, path = read_config_fields(folder), weights_file(folder)
    config, tensors = EncoderConfig.from_dict(fields), read_weights(path)
    name = class_of(tensors, fields, path)
    said = (fields.get("architectures") or [name])[0]
    if said in MODEL_CLASSES and said != name:
        raise CheckpointError(
            f"the configuration says {said}, the tensors are those of {name}",
            where=folder,
            expected="weights and configuration of one model",
            remedy="correct `architectures` in config.json, or copy the weights that belong to it",
        )
    weights, labels = class_from_torch(tensors, name, config, path)
    has_tokenizer = any((folder / file).is_file() for file in ("vocab.txt", "tokenizer.json"))
    return LoadedModel(name, config, labels, weights, folder if has_tokenizer else None, fields)

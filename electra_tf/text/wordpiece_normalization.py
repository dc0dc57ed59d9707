"""What becomes of a text before it is divided into words: lower case, accents, spaces around Chinese characters."""

from dataclasses import dataclass

from tokenizers import normalizers


@dataclass(frozen=True)
class WordPieceSettings:
    """How text is normalised before it is looked up.

    Attributes:
        lower_case: capitals are lowered.
        strip_accents: accents are removed; None follows `lower_case`, as in Hugging Face's tokenizers.
        split_cjk: Chinese characters are words each.
    """

    lower_case: bool = True
    strip_accents: bool | None = None
    split_cjk: bool = True

    @property
    def strips_accents(self) -> bool:
        """Whether accents are removed, None resolved."""
        return self.lower_case if self.strip_accents is None else self.strip_accents


def normalizer(settings) -> normalizers.BertNormalizer:
    return normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=settings.split_cjk,
        strip_accents=settings.strip_accents,
        lowercase=settings.lower_case,
    )


def holds_hangul(text: str) -> bool:
    """Whether a Hangul syllable block (U+AC00 to U+D7A3) is in the text."""
    return any("\uac00" <= character <= "\ud7a3" for character in text)

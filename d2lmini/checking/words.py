r"""What `check` says, in the language of its reader.

The sentences stand in the code, in English, with {names} where values go. chinese.py has each of
them in Chinese.
"""

import os

from .chinese import CHINESE


class Words(str):
    """English words made of a template and values, which `say` can make in another language.

    They are a string like any other: the name of a result, or what a mistake is called.
    """

    def __new__(cls, template, /, **values):
        words = super().__new__(cls, template.format(**values))
        words.template, words.values = template, values
        return words


def say(words, /, **values):
    """Words in the reader's language; so are values that have words of their own there."""
    words = Words(words, **values) if values else words
    if language() == "en":
        return str(words)
    template, values = getattr(words, "template", words), getattr(words, "values", {})
    said = {name: say(v) if isinstance(v, str) else v for name, v in values.items()}
    template = CHINESE.get(template, template)
    return template.format(**said) if said else template


def language():
    """What D2LMINI_LANGUAGE names now, "en" or "zh"; ValueError where it is neither.

    Always "en" for a grader, who sets D2LMINI_RESULTS: no setting in a submission may matter.
    """
    if os.environ.get("D2LMINI_RESULTS"):
        return "en"
    chosen = os.environ.get("D2LMINI_LANGUAGE") or "en"
    if chosen not in ("en", "zh"):
        raise ValueError(f"D2LMINI_LANGUAGE must be 'en' or 'zh', got {chosen!r}")
    return chosen

"""The Chinese notebooks say what the English ones say, and each way of falling behind is named."""

import copy
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
import translation  # noqa: E402

import course  # noqa: E402

COURSE, CHINESE = course.COURSE, course.CHINESE
GLOSSARY = translation.read_glossary(CHINESE / "glossary.md")
NOTEBOOKS = [path for path in course.read_notebooks() if COURSE in path.parents]


def test_the_chinese_edition_says_what_the_english_one_says():
    found = [f"{path.relative_to(ROOT)}, {fault}" for path, fault in course.faults_of_chinese()]
    assert not found, "\n\n".join(["run python tools/course.py chinese", *found])


def test_there_is_no_other_notebook():
    found = {path.relative_to(CHINESE) for path in CHINESE.rglob("*.ipynb")}
    found = {path for path in found if ".ipynb_checkpoints" not in path.parts}
    assert found == {path.relative_to(COURSE) for path in NOTEBOOKS}


def test_every_sentence_is_chinese():
    """No cell was left in English: a mark that somebody removed too early would go unseen."""
    for path in NOTEBOOKS:
        for cell in nbformat.read(CHINESE / path.relative_to(COURSE), as_version=4).cells:
            for paragraph in translation.without_code(translation.own_text(cell)).split("\n\n"):
                words = re.sub(r"\[[^]]*\]\([^)]*\)|<!--.*?-->|\*[^*\n]+\*", "", paragraph)
                english = re.findall(r"[A-Za-z]{2,}(?: [A-Za-z]{2,}){5,}", words)
                if cell.cell_type == "markdown" and not re.search(r"[\u4e00-\u9fff]", words):
                    assert not english, f"{path.name}: {paragraph}"


# --- planted faults ----------------------------------------------------------------------------


def original():
    cell = new_code_cell('def f():\n    """Add."""\n    return 1 + 1  # two')
    cell.outputs = [new_output("stream", text="2\n")]
    text = "The **hidden state** $H_t$ of `nn.RNN`: see [lesson 01](01_rnn_scratch.ipynb)."
    last = new_markdown_cell("The end.")
    return new_notebook(cells=[new_markdown_cell("# Title\n\nA sentence."), cell,
                               new_markdown_cell(text), last])  # fmt: skip


def translated(english):
    """A right translation of `original`."""
    nb = translation.bring_in_step(COURSE / "x.ipynb", english, new_notebook())
    texts = [
        "# 标题\n\n一句话。",
        'def f():\n    """相加。"""\n    return 1 + 1  # 二',
        "`nn.RNN` 的**隐状态** $H_t$：见[第 01 课](01_rnn_scratch.ipynb)。",
        "结束。",
    ]
    for cell, text in zip(nb.cells, texts):
        cell.source = text
    return nb


def faults(english, chinese, path=COURSE / "x.ipynb"):
    return list(translation.faults(path, english, chinese, GLOSSARY))


def replaced(number, old, new):
    def change(nb):
        assert old in nb.cells[number].source
        nb.cells[number].source = nb.cells[number].source.replace(old, new)

    return change


def inserted(number):
    return lambda nb: nb.cells.insert(number, new_markdown_cell("New."))


def dropped(number):
    return lambda nb: nb.cells.pop(number)


def other_output(nb):
    nb.cells[1].outputs[0].text = "3\n"


def other_tags(nb):
    nb.cells[1].metadata["tags"] = ["answer"]


PLANTED = {  # where it is changed, how, and what is said of it
    "sentence": ("english", replaced(3, "end", "very end"), r"cell 3 .*changed.*The very end\."),
    "code": ("english", replaced(1, "1 + 1", "1 + 2"), r"cell 1 .*changed.*1 \+ 2"),
    "added": ("english", inserted(1), r"cell 1 .*not translated yet.*New\."),
    "gone": ("english", dropped(3), r"cell 3 .*is gone.*now there is none"),
    "dropped": ("chinese", dropped(2), r"cell 2 .*not translated yet.*hidden state"),
    "made up": ("chinese", inserted(1), r"cell 1 .*translates nothing.*New\."),
    "other code": ("chinese", replaced(1, "1 + 1", "2"), r"code differs.*return 1 \+ 1.*return 2"),
    "formula": ("chinese", replaced(2, "H_t", "H_{t-1}"), r"formulas differ.*H_t.*H_\{t-1\}"),
    "code span": ("chinese", replaced(2, "nn.RNN", "nn.GRU"), r"code differ.*nn.RNN.*nn.GRU"),
    "link": ("chinese", replaced(2, "(01_rnn_scratch.ipynb)", ""), r"links differ.*01_rnn_scratch"),
    "heading": ("chinese", replaced(0, "# 标", "标"), "headings differ"),
    "output": ("chinese", other_output, "outputs are not those of the English"),
    "tags": ("chinese", other_tags, "tags or other metadata differ"),
    "bold": ("chinese", replaced(2, "状态**", "状态（H）**是"), r"stars are shown.*\*\*"),
    "term": ("chinese", replaced(2, "隐状态", "状态"), "'hidden state' is 隐状态 in the glossary"),
    "avoided": ("chinese", replaced(3, "结束", "隐状态，即隐藏状态"), "隐状态, not 隐藏状态"),
}  # fmt: skip


def test_a_right_translation_has_no_fault():
    english = original()
    assert not faults(english, translated(english))


@pytest.mark.parametrize("name", PLANTED)
def test_planted_faults_are_named(name):
    where, change, words = PLANTED[name]
    notebooks = {"english": original()}
    notebooks["chinese"] = translated(notebooks["english"])
    change(notebooks[where])
    (fault,) = faults(notebooks["english"], notebooks["chinese"])
    assert re.search(words, fault, flags=re.DOTALL), fault


def test_the_text_before_comes_from_the_history(tmp_path):
    def git(*arguments):
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", "-C", tmp_path, *who, *arguments], check=True, capture_output=True)

    path, english = tmp_path / "x.ipynb", original()
    chinese = translated(english)
    git("init")
    nbformat.write(english, path)
    git("add", "x.ipynb")
    git("commit", "-m", "first")
    english.cells[3].source = "The very end."
    nbformat.write(english, path)
    git("commit", "-a", "-m", "second")
    (fault,) = faults(english, chinese, path)
    assert "before:\nThe end.\nnow:\nThe very end." in fault


def test_a_translator_finds_the_english_below_a_mark():
    path, english = COURSE / "x.ipynb", original()
    chinese = translated(english)
    english.cells[3].source = "The very end."
    english.cells.insert(1, new_markdown_cell("New."))
    for _ in range(2):  # doing it again changes nothing
        chinese = translation.bring_in_step(path, english, chinese)
    assert chinese.cells[4].source == f"结束。\n\n{translation.DUE}\n\nThe very end."
    assert chinese.cells[1].source == f"{translation.DUE}\n\nNew."
    before, after = faults(english, chinese)
    assert "not translated yet" in before and "changed" in after
    chinese.cells[1].source, chinese.cells[4].source = "新的。", "真正结束。"
    assert not faults(english, chinese)
    again = translation.bring_in_step(path, english, copy.deepcopy(chinese))
    assert [cell.source for cell in again.cells] == [cell.source for cell in chinese.cells]
    assert not any(translation.NEXT in cell.metadata for cell in again.cells)


@pytest.mark.parametrize(
    "text, right",
    [
        ("**独热**（one-hot）向量", True),
        ("**独热（one-hot）**向量", False),
        ("**独热（one-hot）** 向量", True),
        ("是**`f`**的", False),
        ("*图：一条曲线。*", True),
        ("这*很*重要", True),
        ("这*（很）*重要", False),
        ("`**kwargs` 和 $a * b$", True),
        ("** 独热**", False),
    ],
)
def test_stars_that_are_shown(text, right):
    assert (not list(translation.dead_stars(text))) == right


def test_the_glossary_has_one_word_for_each_term(tmp_path):
    page = "| English | 中文 | 不用 |\n|---|---|---|\n| gate | 门 | |\n| door | 门 | |\n"
    (tmp_path / "glossary.md").write_text(page, encoding="utf-8")
    with pytest.raises(ValueError, match="twice in the column Chinese: .'门'."):
        translation.read_glossary(tmp_path / "glossary.md")


def test_a_page_that_has_changed():
    page = "# Title\n\n```sh\njupyter lab course/x.ipynb\n```\n"
    chinese = "# 标题\n\n```sh\njupyter lab course/zh/x.ipynb\n```\n"
    (fault,) = translation.faults_of_page(page, chinese)
    chinese += "\n" + re.search(r"<!-- translates \w+ -->", fault)[0]
    assert not list(translation.faults_of_page(page, chinese))
    table = "<!-- lessons -->\n\n{}\n\n<!-- end of lessons -->\n"  # generated: it may change
    (one,), (two,) = (translation.faults_of_page(page + table.format(n), chinese) for n in "12")
    assert one == two and "has changed" in one
    (fault,) = translation.faults_of_page(page, chinese.replace("lab", "notebook"))
    assert fault == "the blocks of code differ"

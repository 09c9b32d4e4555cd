"""The website: built from what is stored, whole, and used in a real browser as a reader uses it."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from browser import find_chromium

for package in ("sphinx", "myst_nb", "sphinx_book_theme", "axe_playwright_python"):
    if importlib.util.find_spec(package) is None:
        pytest.skip("needs pip install -r site/requirements.txt", allow_module_level=True)

pytestmark = pytest.mark.long
ROOT = Path(__file__).resolve().parent.parent
COURSE = ROOT / "course"
CHINESE = COURSE / "zh"
LESSONS = sorted(COURSE.glob("*.ipynb"))
NOTEBOOKS = [
    path
    for folder in (COURSE, CHINESE)
    for kind in ("", "solutions/", "homework/")
    for path in sorted(folder.glob(f"{kind}*.ipynb"))
]
CHINESE_FOR_AXE = ("00_text_and_language_models", "04_gru_scratch", "11_birnn_concise")
WORDS = {
    "": (
        "perplexity", "bidirectional", "orthogonal", "clipping", "autograd", "softmax", "dropout",
        "Kneser", "vocabulary", "eigenvalue",
    ),
    "zh": (
        "困惑度", "梯度裁剪", "隐状态", "门", "重置门", "词表", "双向", "编码器", "掩码", "记忆元",
        "GRU",
    ),
}  # fmt: skip
PATIENCE = 120_000  # milliseconds: that a machine is slow is no failure


def build(root, folder):
    command = [sys.executable, "tools/website.py", folder]
    env = os.environ | {"PYTHONPATH": str(root)}
    done = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "html"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder with the website. D2LMINI_SITE names one that is built already."""
    if folder := os.environ.get("D2LMINI_SITE"):
        return Path(folder)
    return build(ROOT, tmp_path_factory.mktemp("site"))


# --- the files -------------------------------------------------------------------------------


class Page(HTMLParser):
    """What a page holds: ids, what it leads to, what it loads, its pictures and its folds."""

    def __init__(self, path):
        super().__init__()
        self.ids, self.links, self.loads, self.pictures = set(), [], [], []
        self.text = path.read_text(encoding="utf-8")
        self.feed(self.text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.ids |= {attributes.get("id"), attributes.get("name")} - {None}
        if tag == "img":
            self.pictures.append(attributes)
        if tag == "a" and "href" in attributes:
            self.links.append(attributes["href"])
        elif "href" in attributes:
            self.loads.append(attributes["href"])
        if "src" in attributes:
            self.loads.append(attributes["src"])


@pytest.fixture(scope="module")
def pages(site):
    return {
        path: Page(path) for path in sorted(site.rglob("*.html")) if "_static" not in path.parts
    }


def page_of(site, notebook):
    if CHINESE in notebook.parents:
        return site / "zh" / notebook.relative_to(CHINESE).with_suffix(".html")
    return site / notebook.relative_to(ROOT).with_suffix(".html")


def is_chinese(site, path):
    return site / "zh" in path.parents


def stored(path):
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def test_every_notebook_and_guide_has_a_page(site, pages):
    names = ["index", "reference", "search", "instructors/README", "instructors/hub/README"]
    names += ["course/homework/README", "course/solutions/index", "CONTRIBUTING"]
    names += ["zh/index", "zh/search", "zh/homework/README", "zh/solutions/index", "zh/glossary"]
    expected = {page_of(site, path) for path in NOTEBOOKS}
    expected |= {site / f"{name}.html" for name in names}
    assert expected <= set(pages)


def test_every_link_within_the_website_leads_somewhere(pages):
    broken = []
    for path, page in pages.items():
        for link in [*page.links, *page.loads]:
            if re.match(r"[a-z]+:", link):
                continue
            name, _, anchor = link.partition("?")[0].partition("#")
            anchor = anchor or link.partition("#")[2]
            target = (path.parent / unquote(name)).resolve() if name else path
            if not target.is_file():
                broken.append((path.name, link))
            elif anchor and target in pages and unquote(anchor) not in pages[target].ids:
                broken.append((path.name, link))
    assert not broken


def test_headings_can_be_reached_as_in_jupyterlab(site, pages):
    for notebook in NOTEBOOKS:
        ids = pages[page_of(site, notebook)].ids
        for cell in stored(notebook)[1:]:
            if cell["cell_type"] == "markdown":
                for heading in re.findall(r"(?m)^##+ ([\w ,]+)$", "".join(cell["source"])):
                    assert heading.replace(" ", "-") in ids


def test_nothing_is_loaded_from_another_host(pages):
    foreign = {
        load for page in pages.values() for load in page.loads if re.match("[a-z]*:?//", load)
    }
    assert not foreign


def test_every_stored_figure_is_shown_and_described(site, pages):
    for path, page in pages.items():
        least = 12 if is_chinese(site, path) else 20
        assert [p["src"] for p in page.pictures if len(p.get("alt", "")) < least] == [], path
    for notebook in NOTEBOOKS:
        outputs = [o for cell in stored(notebook) for o in cell.get("outputs", [])]
        figures = sum("image/png" in output.get("data", {}) for output in outputs)
        own = len(re.findall(r"!\[.+?\]\(", notebook.read_text(encoding="utf-8")))
        assert len(pages[page_of(site, notebook)].pictures) == figures + own, notebook.name


def test_answers_and_set_up_cells_are_folded(site, pages):
    for notebook in NOTEBOOKS:
        text = pages[page_of(site, notebook)].text
        folds = [cell["metadata"].get("jupyter", {}) for cell in stored(notebook)]
        answers = sum("outputs_hidden" in fold for fold in folds)
        show, hide, show_set_up = (
            ("显示答案", "隐藏答案", "显示准备单元格") if CHINESE in notebook.parents
            else ("Show the answer", "Hide the answer", "Show the set-up cell")
        )  # fmt: skip
        assert text.count(f">{show}<") == text.count(f">{hide}<") == answers
        assert text.count(f">{show_set_up}<") == sum("source_hidden" in fold for fold in folds)
        assert not re.search(r'<details class="[^"]*hide[^>]* open', text)


def test_navigation_lines_are_left_out_and_the_version_stands_on_every_page(site, pages):
    version = re.search('__version__ = "(.+)"', (ROOT / "d2lmini/__init__.py").read_text())[1]
    for path, page in pages.items():
        assert f"d2lmini {version}" in page.text, path
    for notebook in NOTEBOOKS:
        text = page_of(site, notebook).read_text(encoding="utf-8")
        assert "← " not in text and " →" not in text, notebook.name


def test_a_download_is_the_stored_notebook(site):
    for notebook in NOTEBOOKS:
        top = site / "zh" if CHINESE in notebook.parents else site
        copy = top / "_sources" / page_of(site, notebook).relative_to(top).with_suffix(".ipynb")
        assert copy.read_bytes() == notebook.read_bytes()


def test_a_page_names_its_language_and_the_theme_speaks_it(site, pages):
    for path, page in pages.items():
        language, words = (
            ("zh-CN", "跳转至主要内容") if is_chinese(site, path)
            else ("en", "Skip to main content")
        )  # fmt: skip
        assert f'<html lang="{language}"' in page.text and words in page.text, path


def test_every_page_leads_to_the_same_page_in_the_other_language(site, pages):
    """The sections have the same numbers there. Some pages are in one language only."""
    guides = {"instructors/README", "instructors/hub/README", "CONTRIBUTING"}
    alone = guides | {"reference", "zh/glossary"}
    for path, page in pages.items():
        (link,) = re.findall(r'<a class="other-language" href="([^"]*)" lang="([^"]*)"', page.text)
        target = (path.parent / link[0]).resolve()
        assert link[1] == ("en" if is_chinese(site, path) else "zh-CN")
        name = path.relative_to(site).with_suffix("").as_posix()
        if name in alone:
            assert target in (site / "index.html", site / "zh" / "index.html")
        else:
            (back,) = re.findall(r'<a class="other-language" href="([^"]*)"', pages[target].text)
            assert (target.parent / back).resolve() == path
            assert numbers_of_sections(page) == numbers_of_sections(pages[target]), name


def numbers_of_sections(page):
    return {anchor for anchor in page.ids if re.fullmatch(r"section-\d+", anchor)}


def test_the_reference_has_every_name_of_the_package(site, pages):
    from test_contract import CONTRACT

    page = pages[site / "reference.html"]
    for name in CONTRACT:
        cls, _, method = name.rpartition(".")
        assert name in page.ids if not cls else method in page.text


@pytest.mark.parametrize("language", ["en", "zh"])
def test_in_a_published_copy_lessons_lead_to_colab_binder_and_the_repository(
    tmp_path, monkeypatch, language
):
    from sphinx.cmd.build import build_main

    monkeypatch.syspath_prepend(ROOT / "tools")
    import course

    monkeypatch.setattr(course, "repository", lambda: "ada/d2lmini")
    source, home = tmp_path / "source", CHINESE if language == "zh" else ROOT
    lesson = (CHINESE if language == "zh" else COURSE) / LESSONS[0].name
    (source / lesson.relative_to(home)).parent.mkdir(parents=True)
    shutil.copy(lesson, source / lesson.relative_to(home))
    license = os.path.relpath(ROOT / "LICENSE", home)
    page = f"# Contents\n\n[license]({license})\n\n```{{toctree}}\n:glob:\n\n"
    page += f"{lesson.relative_to(home).with_suffix('').as_posix()}\n```\n"
    (source / "index.md").write_text(page, encoding="utf-8")
    build_main(
        ["-Q", "-t", language, "-c", str(ROOT / "site"), str(source), str(tmp_path / "html")]
    )
    page = tmp_path / "html" / lesson.relative_to(home).with_suffix(".html")
    text, place = page.read_text(encoding="utf-8"), lesson.relative_to(ROOT).as_posix()
    assert f"colab.research.google.com/github/ada/d2lmini/blob/main/{place}" in text
    assert f"mybinder.org/v2/gh/ada/d2lmini/main?urlpath=lab/tree/{place}" in text
    text = (tmp_path / "html" / "index.html").read_text(encoding="utf-8")
    assert "https://github.com/ada/d2lmini/blob/main/LICENSE" in text


# --- in a browser ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    chromium = find_chromium()
    if chromium is None:
        pytest.skip("needs Chromium or Chrome")
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=chromium) as browser,
    ):
        yield browser


class Reader:
    """A reader with an own browser window, who opens the website from its folder."""

    def __init__(self, browser, site, **options):
        self.site, self.problems = site, []
        self.context = browser.new_context(viewport={"width": 1280, "height": 900}, **options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.page.on("console", lambda line: line.type == "error" and self.note(line.text))
        self.page.on("pageerror", lambda error: self.note(str(error)))
        self.page.on("request", self.see)

    def note(self, problem):
        self.problems.append((self.page.url.rpartition("/")[2], problem))

    def see(self, request):
        if not re.match(f"file://{re.escape(str(self.site))}/|data:|blob:", request.url):
            self.note(f"asks for {request.url}")

    def open(self, path):
        self.page.goto(path.as_uri() if isinstance(path, Path) else path)
        self.wait()

    def wait(self):
        # Formulas are drawn when all else is there.
        self.page.wait_for_function(
            "document.readyState === 'complete' && "
            "document.querySelectorAll('.math').length <= "
            "document.querySelectorAll('mjx-container').length"
        )


@pytest.fixture
def reader(browser, site):
    reader = Reader(browser, site)
    yield reader
    reader.context.close()


@pytest.fixture(scope="module")
def visits(site, pages):
    """What was found on every page: it is opened once, looked at in two sizes and two themes.

    Two browsers share the pages. axe reads the contents and every lesson in English, and in
    Chinese, where the theme and the code are the same, the contents and three lessons.
    """
    if find_chromium() is None:
        pytest.skip("needs Chromium or Chrome")
    for_axe = {page_of(site, lesson) for lesson in LESSONS} | {site / "index.html"}
    for_axe |= {site / "zh" / f"{name}.html" for name in (*CHINESE_FOR_AXE, "index")}
    left = sorted(pages, key=for_axe.__contains__)  # what takes longest is taken first
    found = {}

    def visit_some():
        from playwright.sync_api import sync_playwright

        with (
            sync_playwright() as playwright,
            playwright.chromium.launch(executable_path=find_chromium()) as browser,
        ):
            reader = Reader(browser, site)
            while left:
                path = left.pop()
                found[path] = visit(reader, path, path in for_axe)

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(visit_some), pool.submit(visit_some)]:
            done.result()
    return found


def visit(reader, path, for_axe):
    reader.page.emulate_media(color_scheme="light")
    reader.open(path)
    problems = reader.problems[:]
    reader.problems.clear()
    formulas = reader.page.locator("mjx-container").count()
    if formulas != reader.page.locator("mjx-assistive-mml > math").count():
        problems.append("a formula that a screen reader cannot read")
    if reader.page.locator("mjx-merror").count():
        problems.append("a formula that MathJax does not understand")
    wide = []
    for width in (360, 1280):
        reader.page.set_viewport_size({"width": width, "height": 900})
        if reader.page.evaluate("document.scrollingElement.scrollWidth > innerWidth"):
            wide.append(width)
    violations = {}
    if for_axe:
        # Answers and colours appear slowly, which is not what is tested.
        still = "* { animation: none !important; transition: none !important; }"
        reader.page.add_style_tag(content=still)
        reader.page.evaluate(FEWER_SPANS)
        violations["light"] = serious_violations(reader.page)
        reader.page.emulate_media(color_scheme="dark")
        reader.page.wait_for_selector("html[data-theme=dark]")
        violations["dark"] = serious_violations(reader.page, runOnly=["color-contrast"])
    return {"problems": problems, "wide": wide, **violations}


# All answers open. To save time, axe gets no formulas (each has its MathML for screen readers), and
# of the words in code that look the same the first one only.
FEWER_SPANS = """() => {
    document.querySelectorAll("details").forEach(details => details.open = true);
    document.querySelectorAll("mjx-container").forEach(formula => formula.remove());
    const seen = new Set();
    for (const span of document.querySelectorAll(".highlight span")) {
        const look = span.className + Boolean(span.closest(".cell_output"));
        if (seen.has(look)) span.replaceWith(...span.childNodes);
        seen.add(look);
    }
}"""


def serious_violations(page, **options):
    """Of the rules of accessibility that axe knows."""
    from axe_playwright_python.sync_playwright import Axe

    options |= {"resultTypes": ["violations"], "preload": False}
    violations = Axe().run(page, options=options).response["violations"]
    return [
        (violation["id"], [node["html"][:150] for node in violation["nodes"]])
        for violation in violations
        if violation["impact"] in ("serious", "critical")
    ]


def test_every_page_opens_without_an_error_or_a_request_to_another_host(visits):
    assert {
        path.name: visit["problems"] for path, visit in visits.items() if visit["problems"]
    } == {}


def test_no_page_is_wider_than_a_telephone(visits):
    assert {path.name: visit["wide"] for path, visit in visits.items() if visit["wide"]} == {}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_lessons_can_be_read_by_everybody(visits, theme):
    assert sum(theme in visit for visit in visits.values()) == len(LESSONS) + 1 + 4
    assert {path.name: visit[theme] for path, visit in visits.items() if visit.get(theme)} == {}


@pytest.mark.parametrize("folder", WORDS)
def test_the_search_finds_words(reader, site, folder):
    for word in WORDS[folder]:
        reader.open((site / folder / "search.html").as_uri() + f"?q={word}")
        reader.page.wait_for_selector("#search-results li a")
    reader.page.locator("#search-results li a").first.click()
    reader.page.locator("article h1").wait_for()
    assert not reader.problems


def test_the_chinese_search_wants_all_letters_side_by_side(reader, site):
    """What is nowhere is not found, and what is a section's title leads to that section."""
    reader.open((site / "zh" / "search.html").as_uri() + "?q=度惑困")
    reader.page.wait_for_function("document.querySelector('#search-summary, .search-summary')")
    assert reader.page.locator("#search-results li a").count() == 0
    reader.open((site / "zh" / "search.html").as_uri() + "?q=梯度裁剪")
    reader.page.locator(
        "#search-results li a", has_text="01 从零实现循环神经网络 > 梯度裁剪"
    ).click()
    reader.page.locator("article h1").wait_for()
    assert "zh/01_rnn_scratch.html#" in reader.page.url


AT_TOP = """() => {
    const headings = [...document.querySelectorAll(".bd-article section > :is(h1, h2, h3, h4)")];
    return headings.findLastIndex(e => e.getBoundingClientRect().top < innerHeight / 3);
}"""


def test_the_link_to_the_other_language_leads_to_the_same_section(reader, site):
    reader.page.emulate_media(reduced_motion="reduce")  # no gliding to where a link leads
    lesson = site / "course" / "04_gru_scratch.html"
    headings = reader.page.locator(".bd-article section > :is(h1, h2, h3, h4)")
    for number in (2, 12):
        # From English, scrolled to; the last one cannot come to the top, so follow a link to it.
        reader.open(lesson)
        last = number == headings.count() - 1
        if last:
            headings.nth(number).locator("a.headerlink").evaluate("link => link.click()")
        else:
            headings.nth(number).evaluate("heading => heading.scrollIntoView()")
        reader.page.get_by_role("link", name="中文").click()
        reader.wait()
        assert reader.page.url.endswith(f"/zh/04_gru_scratch.html#section-{number}")
        heading = headings.nth(number)
        assert heading.evaluate("e => 0 <= e.getBoundingClientRect().top") and heading.is_visible()
        assert last or reader.page.evaluate(AT_TOP) == number
        # And back, with the keyboard.
        reader.page.get_by_role("link", name="English").press("Enter")
        reader.wait()
        assert reader.page.url.endswith(f"/course/04_gru_scratch.html#section-{number}")
    assert last
    reader.open(lesson)
    reader.page.get_by_role("link", name="中文").click()
    reader.wait()
    assert reader.page.url.endswith("/zh/04_gru_scratch.html") and not reader.problems


def test_an_answer_is_shown_when_asked_for(reader, site):
    lesson = next(path for path in LESSONS if '"outputs_hidden"' in path.read_text())
    reader.open(page_of(site, lesson))
    fold = reader.page.locator("details:has-text('Show the answer')").first
    output = fold.locator(".cell_output")
    assert not output.is_visible()
    fold.locator("summary").focus()
    reader.page.keyboard.press("Enter")
    output.wait_for(state="visible")
    assert fold.locator("summary").inner_text().strip() == "Hide the answer"


def test_on_paper_every_answer_is_shown(reader, site):
    lesson = next(path for path in LESSONS if '"outputs_hidden"' in path.read_text())
    reader.open(page_of(site, lesson))
    reader.page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert reader.page.locator(".bd-article details.below-input:not([open])").count() == 0


# --- the sliders without a kernel ------------------------------------------------------------

RUNS = sorted((ROOT / "site" / "runs").glob("*.json"))


def test_the_runs_are_small_and_whole():
    assert 0 < sum(path.stat().st_size for path in RUNS) < 200_000
    for path in RUNS:
        stored = json.loads(path.read_text(encoding="utf-8"))
        lesson = (COURSE / f"{path.stem}.ipynb").read_text(encoding="utf-8")
        assert len(stored["panels"]) == lesson.count("d2l.try_it("), path.stem
        for panel in stored["panels"]:
            assert panel["size"] in panel["sizes"] and panel["rate"] in panel["rates"]
            for grid in panel["runs"].values():
                assert [len(row) for row in grid] == [len(panel["rates"])] * len(panel["sizes"])


def test_the_choices_of_the_panels_have_chinese_names():
    names = (ROOT / "site" / "static" / "words.js").read_text(encoding="utf-8")
    for path in RUNS:
        for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]:
            for name in filter(None, [panel["menu"], *panel["runs"]]):
                assert f'"{name}": "' in names, name


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.stem)
def test_sliders_show_the_runs_that_were_computed_beforehand(reader, site, path):
    stored = json.loads(path.read_text(encoding="utf-8"))
    reader.open(site / "course" / f"{path.stem}.html")
    for number, data in enumerate(stored["panels"]):
        panel = reader.page.locator(".d2lmini-panel").nth(number)
        assert f"computed beforehand on {stored['made']}" in panel.inner_text()
        picture = panel.get_by_role("img", name=re.compile("Perplexity over epochs"))
        assert f"{data['size']} hidden, lr {data['rate']:g}" in picture.get_attribute("aria-label")
        rows, before = panel.locator(".run"), panel.locator(".run").count()
        slider = panel.get_by_role("slider", name="Hidden size")
        place = data["sizes"].index(data["size"])
        slider.press("ArrowLeft" if place else "ArrowRight")
        next_size = data["sizes"][place - 1 if place else 1]
        assert slider.get_attribute("aria-valuetext") == str(next_size)
        assert rows.count() == before + len(data["runs"])
        assert f"{next_size} hidden" in panel.get_by_role("status").inner_text()
        if data["menu"]:
            panel.get_by_role("combobox").select_option(next(iter(data["runs"])))
        panel.get_by_role("button", name=re.compile("Remove this run")).first.click()
    assert not reader.problems


def test_sliders_speak_chinese_on_a_chinese_page(reader, site):
    reader.open(site / "zh" / "11_birnn_concise.html")
    panel = reader.page.locator(".d2lmini-panel")
    slider = panel.get_by_role("slider", name="隐藏单元数")
    slider.press("ArrowLeft")
    assert panel.get_by_role("slider", name="学习率").count() == 1
    panel.get_by_role("img", name=re.compile("^困惑度随轮数的变化")).wait_for()
    assert "32 个隐藏单元，学习率 0.01：训练 " in panel.get_by_role("status").inner_text()
    panel.get_by_role("combobox", name="双向").select_option(label="两个方向")
    panel.get_by_role("button", name=re.compile("^移除这次运行")).first.click()
    # All of it is Chinese but for the words on how the runs were made, and what a network wrote.
    text = panel.evaluate("""panel => {
        const copy = panel.cloneNode(true);
        copy.querySelectorAll("script, [lang=en], q").forEach(e => e.remove());
        return copy.textContent;
    }""")
    assert set(re.findall("[A-Za-z]+", text)) <= {"JupyterLab"} and not reader.problems

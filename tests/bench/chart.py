"""The pictures of the benchmark, written as SVG by hand."""

from xml.sax.saxutils import escape

INK, SOFT, RULE, PAPER = "#1b2330", "#667085", "#e4e7ec", "#ffffff"
FLOOR, OTHER, OURS, GOAL = "#98a2b3", "#b8c4d6", "#0f766e", "#b45309"
PALE = {FLOOR: "#d0d5dd", OTHER: "#dde3ec", OURS: "#8cc9c2"}
FONT = "Inter, 'Segoe UI', 'Helvetica Neue', 'DejaVu Sans', sans-serif"

WIDTH, MARGIN, NAMES, LABELS = 900, 40, 130, 170
ROW, BAR, THIN = 34, 16, 4


class Svg:
    """A growing picture; closed with its height once that is known."""

    def __init__(self, width=WIDTH):
        self.width = width
        self.parts = []

    def text(self, x, y, words, size=13, fill=INK, weight=400, anchor="start",
             style="normal"):
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{fill}" '
            f'font-weight="{weight}" font-style="{style}" '
            f'text-anchor="{anchor}">{escape(words)}</text>')

    def rect(self, x, y, width, height, fill, radius=0.0):
        self.parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" '
            f'height="{height:.1f}" rx="{radius}" fill="{fill}"/>')

    def line(self, x1, y1, x2, y2, stroke=RULE, width=1.0, dash=""):
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        self.parts.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
            f'stroke="{stroke}" stroke-width="{width}"{dashes}/>')

    def path(self, points, stroke, width=2.0, fill="none", opacity=1.0,
             dash=""):
        drawn = "M" + " L".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(
            f'<path d="{drawn}" fill="{fill}" stroke="{stroke}" '
            f'stroke-width="{width}" stroke-linejoin="round" '
            f'opacity="{opacity}"'
            + (f' stroke-dasharray="{dash}"' if dash else "") + "/>")

    def done(self, height, title):
        return (f'<svg xmlns="http://www.w3.org/2000/svg" '
                f'viewBox="0 0 {self.width} {height:.0f}" '
                f'width="{self.width}" height="{height:.0f}" role="img" '
                f'font-family="{escape(FONT)}">\n'
                f'<title>{escape(title)}</title>\n'
                f'<rect width="100%" height="100%" rx="12" fill="{PAPER}"/>\n'
                + "\n".join(self.parts) + "\n</svg>\n")


class Bar:
    """One row of a panel: a value and how it reads, or why there is none."""

    def __init__(self, name, color, value=None, label="", ratio="",
                 thin=None, reason=""):
        self.name = name
        self.color = color
        self.value = value
        self.label = label
        self.ratio = ratio
        self.thin = thin
        self.reason = reason


class Panel:
    def __init__(self, title, note, bars, goal=None, goal_label="", cap=None):
        self.title = title
        self.note = note
        self.bars = bars
        self.goal = goal
        self.goal_label = goal_label
        self.cap = cap  # bars beyond this are cut, and drawn as cut


def bar_chart(title, subtitle, panels, footnote):
    svg = Svg()
    svg.text(MARGIN, 52, title, 22, weight=700)
    svg.text(MARGIN, 76, subtitle, 13, SOFT)
    y = 112.0
    for panel in panels:
        y = _draw_panel(svg, panel, y) + 34
    svg.line(MARGIN, y - 14, WIDTH - MARGIN, y - 14)
    for line in footnote:
        svg.text(MARGIN, y + 8, line, 11.5, SOFT)
        y += 17
    return svg.done(y + 16, title)


def _draw_panel(svg, panel, y):
    svg.text(MARGIN, y, panel.title, 15, weight=650)
    svg.text(WIDTH - MARGIN, y, panel.note, 12, SOFT, anchor="end")
    left, right = MARGIN + NAMES, WIDTH - MARGIN - LABELS
    top = y + (32 if panel.goal else 16)
    bottom = top + ROW * len(panel.bars)
    longest = max([bar.value or 0 for bar in panel.bars]
                  + [bar.thin or 0 for bar in panel.bars]
                  + [panel.goal or 0]) or 1
    top_value = min(longest, panel.cap or longest)
    scale = (right - left) / top_value
    if panel.goal:
        x = left + min(panel.goal, top_value) * scale
        svg.line(x, top - 8, x, bottom - 6, GOAL, 1.5, "4 3")
        svg.text(x, top - 13, panel.goal_label, 11, GOAL, anchor="middle")
    for i, bar in enumerate(panel.bars):
        _draw_bar(svg, bar, left, top + ROW * i, scale, right)
    svg.line(left, top - 4, left, bottom - 6, RULE, 1)
    return bottom


def _draw_bar(svg, bar, left, y, scale, right):
    is_ours = bar.color == OURS
    weight = 700 if is_ours else 400
    svg.text(left - 12, y + 13, bar.name, 13, INK if bar.value else SOFT,
             weight, "end")
    if bar.value is None:
        # On paper of its own, so that the goal's line does not cross it.
        svg.rect(left + 6, y - 2, 8 + 6.6 * len(bar.reason), 20, PAPER)
        svg.text(left + 10, y + 13, bar.reason, 12, SOFT, style="italic")
        return
    _draw_strip(svg, left, y, bar.value * scale, BAR, bar.color, right)
    if bar.thin:
        _draw_strip(svg, left, y + BAR + 2, bar.thin * scale, THIN,
                    PALE[bar.color], right)
    svg.text(right + 98, y + 13, bar.label, 12.5, INK, weight, "end")
    svg.text(right + LABELS, y + 13, bar.ratio, 12.5,
             OURS if is_ours else SOFT, weight, "end")


def _draw_strip(svg, left, y, length, height, color, right):
    end = min(left + length, right)
    svg.rect(left, y, end - left, height, color, min(3, height / 2))
    if left + length > right + 0.5:  # cut: two slanted gaps near the end
        for gap in (26, 18):
            svg.path([(right - gap, y + height + 1),
                      (right - gap + 6, y - 1)], PAPER, 3)

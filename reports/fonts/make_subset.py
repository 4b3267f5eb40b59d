"""Makes `radgate-sans-sc.ttf`, the font of the PDF report, from Noto Sans CJK SC (SIL Open Font License 1.1).

Run once by a developer, not by radgate: ``python -m reports.fonts.make_subset NotoSansCJK-Regular.ttc``. The PDF
library embeds TrueType outlines only, so the cubic outlines become quadratic ones; the subset keeps the characters of
GB 2312, the more frequent half of Big5, Latin-1, and characters of names that neither set has. The
family is renamed, as the licence asks of a changed font.
"""

import sys
from pathlib import Path
from typing import Any

__all__ = ["covered_characters", "make_subset"]

TARGET = Path(__file__).with_name("radgate-sans-sc.ttf")

CURVE_ERROR_EM = 0.0022
"""Largest distance of the quadratic outline from the cubic one, in em: 0.02 mm at 24 pt."""

NAME_CHARACTERS = (
    "喆堃翀祎玥昇峣赟昉珺璟晞昕旻玘玙珏琎瑄瑢璠璐瓅甯祐祺禛禔罡翯芃芊茗荻菡萱蓓蕙薇蘅蜺衎袆裎谞豸赪跶轫辂邕邨郗郜郦鄢鄯酆醅钏钰铖铠铧锟锜镕镡闫闾阇"
    "陞隺霈靓頔颋飏饧馥骁骢鲲鸢鸾麒麟黾龑龢侃俣倓偲傕僖儁劭勍勐劼匡卞囡圳垚埕堉堯塬墉夬奡妍妤姝姞姮娅娉娴婕婧媛嫄嫚嬿孜宬寔尧岚峤峥崚嵚嵘嶶巍帏庹彧彪怡恺悫惇愔憬懿扆"
    "旸昀昊昱晅晔晟晢暄暕暾曈朓杞柘桁桠梓棪椿楸榕樾櫆欤毓氤泓泖洹浠浚淏淼湉湜溥溦滢漪潇澍濛瀚灏炅炘炜烜烨焓焜煊煜熠燊燚爔玎玏玕玟玢玦玮珂珈珑珣珩琚琛琦琨琬琭琰琳琮瑀瑗瑛瑭瑾璇璋璞瓒"
)

BILINGUAL_SIGNS = "²³°±×÷µ·–—‘’“”•…‰€™≤≥≈≠→←↑↓−√∞△▲▼■□●○◆✓，。、；：？！（）《》【】「」％～＋－＝／"


def covered_characters() -> set[int]:
    """Code points that the font is to cover."""
    wanted = set(range(0x20, 0x7F)) | set(range(0xA0, 0x100)) | {ord(c) for c in NAME_CHARACTERS + BILINGUAL_SIGNS}
    for high in range(0xA1, 0xF8):
        for low in range(0xA1, 0xFF):
            wanted.update(map(ord, bytes((high, low)).decode("gb2312", errors="ignore")))
    for high in range(0xA4, 0xC7):
        for low in (*range(0x40, 0x7F), *range(0xA1, 0xFF)):
            wanted.update(map(ord, bytes((high, low)).decode("big5", errors="ignore")))
    return wanted


def make_subset(source: Path, target: Path = TARGET) -> int:
    """Writes the subset of face 'Noto Sans CJK SC' of the collection `source`; the number of characters it covers."""
    from fontTools.subset import Options, Subsetter
    from fontTools.ttLib import TTCollection

    faces = TTCollection(str(source), lazy=True).fonts
    font = next(face for face in faces if face["name"].getDebugName(1) == "Noto Sans CJK SC")
    options = Options(layout_features=[], hinting=False, desubroutinize=True, notdef_outline=True, name_IDs=["*"])
    options.drop_tables += ["vhea", "vmtx", "VORG", "BASE", "GPOS", "GSUB", "GDEF", "DSIG"]
    subsetter = Subsetter(options)
    subsetter.populate(unicodes=covered_characters())
    subsetter.subset(font)
    _to_truetype(font)
    for record in font["name"].names:
        if record.nameID in {1, 3, 4, 6, 16}:
            record.string = "RadgateSansSC" if record.nameID == 6 else "Radgate Sans SC"
    font["name"].names = [
        r for r in font["name"].names if r.langID == 0x409 and r.nameID in {0, 1, 2, 3, 4, 5, 6, 13, 14}
    ]
    font["head"].created = font["head"].modified = 0
    font.recalcTimestamp = False
    font.save(str(target))
    return len(font.getBestCmap())


def _to_truetype(font: Any) -> None:
    """Replaces the cubic CFF outlines by quadratic glyf ones, in place."""
    from fontTools.pens.cu2quPen import Cu2QuPen
    from fontTools.pens.ttGlyphPen import TTGlyphPen
    from fontTools.ttLib import newTable

    outlines, order = font.getGlyphSet(), font.getGlyphOrder()
    error = CURVE_ERROR_EM * font["head"].unitsPerEm
    glyphs = {}
    for name in order:
        pen = TTGlyphPen(outlines)
        outlines[name].draw(Cu2QuPen(pen, error, reverse_direction=True))
        glyphs[name] = pen.glyph()
    font["loca"] = newTable("loca")
    font["glyf"] = glyf = newTable("glyf")
    glyf.glyphOrder, glyf.glyphs = order, glyphs
    font["maxp"].tableVersion = 0x00010000
    for name in ("maxZones", "maxTwilightPoints", "maxStorage", "maxFunctionDefs", "maxInstructionDefs"):
        setattr(font["maxp"], name, 1 if name == "maxZones" else 0)
    for name in ("maxStackElements", "maxSizeOfInstructions", "maxComponentElements"):
        setattr(font["maxp"], name, 0)
    glyf.compile(font)
    font["post"].formatType = 3.0
    font["post"].extraNames, font["post"].mapping = [], {}
    del font["CFF "]
    if "VORG" in font:
        del font["VORG"]
    font.sfntVersion = "\x00\x01\x00\x00"


if __name__ == "__main__":
    sys.stdout.write(f"{make_subset(Path(sys.argv[1]))} characters, {TARGET.stat().st_size} bytes\n")

"""The English words that say how a question is built and not what it is about."""

from __future__ import annotations

ENGLISH = frozenset(
    """
    a an the this that these those such same other another each every either neither both all any some none no not nor
    i me my mine myself we us our ours ourselves you your yours yourself yourselves he him his himself she her hers
    herself it its itself they them their theirs themselves one ones who whom whose which what where when why how
    and or but if so than then as because while until though although unless since whether
    of at by for with without about against between among into onto through during before after above below to from up
    down in out on off over under again further within upon via per toward towards across along around behind beside
    am is are was were be been being do does did doing done have has had having will would shall should can could may
    might must ought cannot let lets
    i'm i've i'll i'd we're we've we'll we'd you're you've you'll you'd he's he'll he'd she's she'll she'd it's it'll
    they're they've they'll they'd that's there's here's who's what's where's when's why's how's let's
    isn't aren't wasn't weren't don't doesn't didn't haven't hasn't hadn't won't wouldn't shan't shouldn't can't couldn't
    mustn't mightn't needn't
    here there now just only also too very quite rather more most much many few less least own once ever yet still even
    else already however therefore thus hence etc please
    """.split()  # noqa: SIM905  # A list of two hundred quoted words is harder to read.
)

ENGLISH_GLUE = frozenset("a an the this that these those of at by for with to from in on into and or".split())  # noqa: SIM905  # As above.
"""Those of `ENGLISH` that hold any sentence together: which of two passages has them says nothing of what was asked."""

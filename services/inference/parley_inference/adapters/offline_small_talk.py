"""Short friendly answers to what people say before they ask something. The same words get the same answer."""

from __future__ import annotations

from parley_inference.adapters.offline_words import plain_words

_MOST_WORDS = 7

_GREETINGS = frozenset(
    {"hello", "hi", "hey", "hiya", "howdy", "greetings", "hallo", "moin", "servus", "salut", "bonjour", "hola", "ciao"}
)
_FILLERS = frozenset(
    plain_words(
        "there parley you all everyone so very much a lot for your the help that again and well then now please my friend good "
        "morning afternoon evening day guten tag morgen abend"
    )
)
_TIMES_OF_DAY = frozenset({"good morning", "good afternoon", "good evening", "good day", "guten tag", "guten morgen"})
_THANKS = frozenset({"thanks", "thank", "thx", "danke", "merci", "gracias", "cheers"})
_FAREWELLS = frozenset({"bye", "goodbye", "ciao", "tschüss", "later", "farewell"})

_HELLO = "Hello! Ask me something about your documents, and I will answer with what they say and where they say it."
_WELCOME = "You're welcome! Is there anything else you would like to know?"
_GOODBYE = "Goodbye! Your conversation stays here for when you come back."
_WELL = "All well here, thank you. What would you like to know?"
_ABOUT = (
    "I am Parley's built-in offline model. I look for the sentences in your documents that answer a question and quote them with "
    "their sources. I can also call a tool when you plainly ask for one, like “remind me to water the plants”."
)

_PHRASES = {
    "how are you": _WELL,
    "how are you doing": _WELL,
    "how do you do": _WELL,
    "how is it going": _WELL,
    "how's it going": _WELL,
    "what's up": _WELL,
    "wie geht's": _WELL,
    "who are you": _ABOUT,
    "what are you": _ABOUT,
    "what is your name": _ABOUT,
    "what's your name": _ABOUT,
    "what can you do": _ABOUT,
    "what do you do": _ABOUT,
    "what can i ask you": _ABOUT,
    "how can you help me": _ABOUT,
    "help": _ABOUT,
    "help me": _ABOUT,
}


def small_talk(text: str) -> str | None:
    """The answer to small talk; None when it is something else, or small talk with a question in it."""
    words = plain_words(text)
    if not 0 < len(words) <= _MOST_WORDS:
        return None
    rest = [word for word in words if word not in _GREETINGS]
    if answer := _PHRASES.get(" ".join(rest)) or _PHRASES.get(" ".join(word for word in rest if word != "parley")):
        return answer
    for kinds, answer in ((_THANKS, _WELCOME), (_GREETINGS, _HELLO), (_FAREWELLS, _GOODBYE)):
        if kinds & set(words) and not set(words) - kinds - _FILLERS - _GREETINGS:
            return answer
    is_greeting = " ".join(words[:2]) in _TIMES_OF_DAY and not set(words) - _FILLERS
    return _HELLO if is_greeting else None

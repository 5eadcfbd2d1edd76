"""The words that routes are chosen by: English and German, and how people greet and thank each other in some languages more.

Data, not a rule: what a sign weighs and what becomes of it is routing.py's. A phrase belongs to one sign. It is written as people write it;
case, apostrophes and the difference between ß and ss do not count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Sign(StrEnum):
    """What can be seen in a message."""

    CODE = "code"
    CODING = "coding"
    ANALYSIS = "analysis"
    DOCUMENTS = "documents"
    TASK = "task"
    AI = "ai"
    SUMMARY = "summary"
    TABLE = "table"
    EXPLANATION = "explanation"
    LONG = "long"
    OURS = "ours"
    FIGURES = "figures"
    PARTS = "parts"
    LOOKUP = "lookup"
    SMALL_TALK = "small_talk"
    SELF = "self"
    COMMON = "common"
    FOLLOW_UP = "follow_up"


_PHRASES = {
    Sign.CODING: """
        code, source code, implement, refactor, debug, debugging, compile, write a function, write a script,
        write a program, unit test, unit tests, regex, regular expression, sql, sql query, algorithm, stack trace,
        stacktrace, traceback, bug, exception, segfault, pull request, merge conflict, api, endpoint, dockerfile,
        docker, kubernetes, yaml, json, python, javascript, typescript, java, rust, golang, bash, shell script, html,
        css, git, recursion, deadlock, race condition, memory leak, time complexity, type error, linter, null pointer,
        programmiere, programmieren, programm, funktion schreiben, schreibe eine funktion, schreib eine funktion,
        skript, schreibe ein skript, quelltext, quellcode, fehlermeldung, kompiliert, kompilieren, refaktorisiere,
        implementiere, implementieren, algorithmus, datenbankabfrage, regulärer ausdruck, regulären ausdruck,
        unittest, debugge, schnittstelle, error message
    """,
    Sign.ANALYSIS: """
        analyze, analyse, analysis, analyzing, compare, comparing, comparison, contrast, evaluate, evaluation, assess,
        assessment, trade-off, trade-offs, tradeoff, tradeoffs, pros and cons, advantages, disadvantages, strengths,
        weaknesses, swot, root cause, implications, impact, difference between, differences between, differ, versus,
        vs, pattern, patterns, trend, trends, correlation, correlate, estimate, forecast, calculate, break down,
        critique, review, investigate, examine, prioritize, prioritise, rank, recommend, recommendation, risk, risks,
        strategy, optimize, optimise, diagnose, infer, hypothesis, conclusion, conclusions, roi, business case, prove,
        derive, analysiere, analysieren, vergleiche, vergleichen, vergleich, bewerte, bewerten, bewertung, beurteile,
        beurteilen, beurteilung, vor- und nachteile, vorteile, nachteile, stärken, schwächen, unterschied,
        unterschiede, auswirkung, auswirkungen, ursache, ursachen, muster, zusammenhang, schätze, abschätzung,
        prognose, prognostiziere, berechne, berechnen, untersuche, untersuchen, prüfe, prüfen, risiko, risiken,
        strategie, optimiere, optimieren, empfiehl, empfehlung, priorisiere, schlussfolgerung, gegenüberstellung,
        stelle gegenüber, werte aus, auswerten, auswertung, abwägung, wäge ab, beweise, leite her
    """,
    Sign.DOCUMENTS: """
        document, documents, documentation, docs, file, files, pdf, contract, contracts, agreement, notes, handbook,
        manual, policy, policies, report, reports, invoice, invoices, guide, guideline, guidelines, wiki, spreadsheet,
        slides, memo, minutes of, transcript, specification, knowledge base, according to, attachment, attached,
        uploaded, upload, paragraph, clause, chapter, whitepaper, paper, resume, lease, terms and conditions,
        warranty, citation, citations, sources, source, cite, chunk, index, faq, runbook, changelog, release notes,
        meeting notes, say about, says about, mentioned in, written in, look up, search for, find me, search,
        dokument, dokumente, dokumenten, dokumentation, datei, dateien, vertrag, verträge, vertrags, notizen,
        handbuch, richtlinie, richtlinien, bericht, berichte, rechnung, rechnungen, anleitung, leitfaden, tabelle,
        präsentation, folien, protokoll, unterlagen, akte, akten, laut, gemäß, anhang, hochgeladen, hochgeladene,
        hochgeladenen, absatz, klausel, kapitel, lebenslauf, wissensdatenbank, quelle, quellen, zitiere, beleg,
        belege, steht in, steht im, steht über, such nach, suche nach, suche, finde, nachschlagen, satzung, gutachten
    """,
    Sign.TASK: """
        remind me, reminder, reminders, to-do, todo, todos, my tasks, task, tasks, deadline, deadlines, calendar,
        appointment, appointments, meeting, meetings, schedule, agenda, my day, due, overdue, plan my, project,
        projects, create a plan, draft, write an email, write a mail, write an e-mail, reply to, write a report,
        write a proposal, blog post, press release, cover letter, presentation, checklist, outline, erinnere mich,
        erinnerung, aufgabe, aufgaben, frist, fristen, kalender, termin, termine, besprechung, besprechungen, fällig,
        überfällig, projekt, projekte, plane, planen, entwirf, entwurf, schreibe eine mail, schreib eine mail,
        schreibe eine e-mail, schreib eine e-mail, formuliere, pressemitteilung, anschreiben, checkliste, gliederung,
        erstelle einen plan, zeitplan
    """,
    Sign.AI: """
        ai model, ai models, language model, language models, llm, llms, machine learning, deep learning,
        neural network, neural networks, fine-tune, fine-tuning, finetune, finetuning, prompt, prompts, embedding,
        embeddings, rag, retrieval augmented, vector database, vector store, transformer, transformers, gpt,
        classifier, classify, classification, regression, clustering, cluster, dataset, data set, training data,
        train a, sentiment, tokenizer, tokenization, hallucination, hallucinations, hallucinate,
        reinforcement learning, attention mechanism, inference, overfitting, label, extract, entities,
        artificial intelligence, agent, agents, model, ki-modell, ki-modelle, sprachmodell, sprachmodelle,
        künstliche intelligenz, maschinelles lernen, neuronales netz, neuronale netze, klassifiziere, klassifizieren,
        klassifikation, trainiere, trainieren, datensatz, einbettung, einbettungen, stimmung der, extrahiere,
        extrahieren, modell, modelle
    """,
    Sign.SUMMARY: """
        summarize, summarise, summary, sum up, tl;dr, tldr, key points, main points, takeaways, in short what,
        condense, abstract, recap, overview, highlights, zusammenfassen, zusammenfassung, fasse, fass, kernaussagen,
        kernpunkte, überblick, übersicht, kurzfassung, wichtigsten punkte, das wichtigste
    """,
    Sign.EXPLANATION: """
        explain, explanation, why, describe, elaborate, clarify, how come, what causes, walk me through, step by step,
        in detail, teach me, help me understand, how it works, reason for, meaning of, what does it mean, mean by,
        consequences, background of, troubleshoot, does not work, doesn't work, doesnt work, not working, fails,
        failed, fix, solve, problem, issue, configure, install, set up, setup, erkläre, erklär, erklären, erklärung,
        warum, wieso, weshalb, beschreibe, beschreiben, erläutere, erläutern, schritt für schritt, im detail,
        funktioniert, funktionieren, funktioniert nicht, geht nicht, bedeutet, bedeutung, grund, gründe, löse, lösen,
        lösung, einrichten, konfigurieren, konfiguriere, installieren, hilf mir
    """,
    Sign.OURS: """
        our, ours, unser, unsere, unserem, unseren, unserer, unseres, the team, the company, the customer,
        the customers, das team, die firma, der kunde, die kunden
    """,
    Sign.LOOKUP: """
        what, who, wie, was, wer, wo, how do i, how do we, how can i, how can we, how should, how to, how does,
        how do, how is, how are, how long, how often, where is, where are, where do, where can, what is, what are,
        what does, what do, what happens, what was, whats, which, who is, who are, who has, when is, when does,
        when did, when was, when, how many, how much, is there, are there, can i, can we, must i, should i, should we,
        do we, did we, am i allowed, tell me about, list all, list the, show me, give me, wie kann, wie mache,
        wie lange, wie oft, wie funktioniert, wie viel, wie viele, wie hoch, wo ist, wo sind, wo finde, wo kann,
        was ist, was sind, was passiert, was macht, welche, welcher, welches, welchen, wer ist, wer hat, wann ist,
        wann, gibt es, kann ich, können wir, darf ich, muss ich, soll ich, zeig mir, zeige mir, nenne, liste
    """,
    Sign.SELF: """
        who are you, what are you, whats your name, what is your name, what can you do, what can you help,
        what can you help with, how can you help, how can you help me, can you help me, could you help me,
        are you there, are you a robot, are you a bot, are you human, are you a human, are you real, are you an ai,
        are you chatgpt, do you sleep, do you dream, do you have feelings, how old are you, where are you from,
        who made you, do you like, do you speak, do you speak german, do you speak english, do you understand me,
        your favorite, your favourite, do you know me, do you remember me, tell me about yourself, wer bist du,
        was bist du, wie heißt du, was kannst du, was kannst du alles, wobei kannst du helfen, kannst du mir helfen,
        bist du da, bist du ein roboter, bist du ein bot, bist du ein mensch, bist du eine ki, bist du echt,
        wie alt bist du, woher kommst du, wer hat dich gemacht, magst du, sprichst du, sprichst du deutsch,
        sprichst du englisch, verstehst du mich, dein lieblings, qui es-tu, quién eres, chi sei
    """,
    Sign.COMMON: """
        joke, jokes, riddle, fun fact, poem, haiku, limerick, make me laugh, make me smile, cheer me up, sing,
        bedtime story, tell me a story, short story, tongue twister, flip a coin, roll a die, roll a dice,
        random number, pick a number, guess a number, play a game, tic tac toe, capital of, capital city,
        population of, weather, what time is it, what day is it, what day is today, what year is it, todays date,
        what date is it, days in a, hours in a, minutes in an, seconds in a, weeks in a, days until, how tall is,
        how far is, how high is, how big is, how heavy is, how fast is, president of, born, painted, invented,
        synonym, synonyms, antonym, opposite of, rhyme, rhymes, spell, spelled, translate, how do you say, plural of,
        past tense, square root, celsius, fahrenheit, kilometers in, miles in, recipe, cook, dinner, movie, movies,
        song, songs, birthday wish, happy birthday, birthday, name for my, baby name, compliment, quote of the day,
        motivational quote, horoscope, color of, colour of, boiling point, chemical symbol, speed of light,
        largest planet, tallest mountain, longest river, legs does, bananas, holiday greeting, witz, witze,
        gutenachtgeschichte, erzähl mir eine geschichte, erzähle mir eine geschichte, rätsel, gedicht,
        bring mich zum lachen, wirf eine münze, würfle, zufallszahl, hauptstadt, einwohner hat, wetter, wie spät,
        wieviel uhr, wie viel uhr, welcher tag ist, welches datum, welches jahr ist, tage hat, stunden hat,
        minuten hat, wie hoch ist der, wie weit ist, wie groß ist, geboren, gemalt, erfunden, synonym für,
        gegenteil von, reimt sich, reim, buchstabiert man, buchstabiere, übersetze, übersetz, wie sagt man,
        mehrzahl von, wurzel aus, rezept, kochen, film, filme, lied, geburtstag, geburtstagsgruß, kompliment,
        lustige tatsache, farbe hat, siedepunkt
    """,
    Sign.SMALL_TALK: """
        hi, hello, hey, hiya, howdy, yo, greetings, good morning, good afternoon, good evening, good night, good day,
        morning, evening, welcome back, how are you, how are you doing, how are you today, how are you doing today,
        how are things, hows it going, how is it going, hows life, how do you do, how was your day, how is your day,
        hows your day, whats up, sup, whats new, nice to meet you, pleased to meet you, nice to see you,
        long time no see, im back, i am back, thanks, thank you, thank you so much, thx, ty, cheers, much appreciated,
        appreciate it, you are welcome, youre welcome, no problem, no worries, ok, okay, k, kk, alright, all right,
        got it, i see, understood, makes sense, fair enough, sounds good, great, nice, cool, awesome, perfect,
        excellent, wonderful, amazing, fantastic, brilliant, lovely, good, good job, well done, nice work, good work,
        great job, great work, wow, oh, ah, haha, hahaha, lol, lmao, hehe, xd, bye, goodbye, bye bye, see you, see ya,
        see you later, see you soon, see you tomorrow, talk to you later, take care, have a nice day, have a good day,
        have a great day, have a nice weekend, have a good one, good luck, sorry, my bad, excuse me, never mind,
        nevermind, forget it, that is all, thats all, that was helpful, that helps, that helped, very helpful,
        helpful, you are great, youre great, youre the best, you rock, i love it, love it, love you, i like you,
        i am bored, im bored, i am tired, im tired, i am sad, im sad, i am happy, im happy, i am fine, im fine,
        im good, i am good, i feel sad, i feel great, i had a long day, had a long day, had a bad day,
        had a great day, what a day, just saying hi, just testing, testing, test, ping, happy new year,
        merry christmas, happy friday, its friday, what a beautiful day, what a lovely day, happy weekend, hallo,
        hallöchen, hi du, moin, moin moin, servus, grüezi, grüß gott, grüß dich, guten morgen, guten tag, guten abend,
        gute nacht, mahlzeit, na, wie geht es dir, wie geht es ihnen, wie gehts, wie gehts dir, wie geht es,
        gehts dir gut, alles klar, alles gut, was geht, was geht ab, was gibts neues, wie war dein tag,
        schön dich zu sehen, freut mich, danke, danke schön, dankeschön, danke dir, danke sehr, vielen dank,
        herzlichen dank, tausend dank, besten dank, merci, bitte schön, bitteschön, gern geschehen, gerne,
        kein problem, verstanden, verstehe, ach so, achso, aha, passt, klingt gut, super, toll, klasse, prima, spitze,
        genial, wunderbar, hervorragend, großartig, sehr gut, gut gemacht, sehr schön, schön, tschüss, tschüß, ciao,
        bis bald, bis später, bis dann, bis morgen, auf wiedersehen, mach es gut, machs gut, schönen tag,
        einen schönen tag, schönes wochenende, schönen abend, viel glück, entschuldigung, tut mir leid, egal,
        vergiss es, das war alles, das hilft, das hat geholfen, sehr hilfreich, hilfreich, du bist toll,
        du bist super, du bist der beste, ich mag dich, mir ist langweilig, ich bin müde, ich bin traurig,
        ich bin glücklich, mir geht es gut, mir gehts gut, frohe weihnachten, frohes neues jahr, endlich freitag,
        ich bin zurück, nur ein test, was für ein tag, bonjour, bonsoir, salut, coucou, bonne nuit, bonne journée,
        ça va, comment ça va, comment allez-vous, merci beaucoup, au revoir, à bientôt, d'accord, super merci, hola,
        buenos días, buenas tardes, buenas noches, buenas, qué tal, cómo estás, cómo está usted, gracias,
        muchas gracias, adiós, hasta luego, hasta mañana, vale, buongiorno, buonasera, buonanotte, salve, come stai,
        come va, grazie, grazie mille, arrivederci, a presto, va bene, olá, oi, bom dia, boa tarde, boa noite,
        tudo bem, obrigado, obrigada, muito obrigado, muito obrigada, tchau, até logo, hoi, goedemorgen, goedemiddag,
        goedenavond, hoe gaat het, dank je, dank je wel, bedankt, dag, tot ziens, doei, hej, hejsan, god morgon, tack,
        tack så mycket, hej då, tak, mange tak, takk, hei, moi, kiitos, cześć, dzień dobry, dobry wieczór, dziękuję,
        dzięki, do widzenia, ahoj, dobrý den, děkuji, merhaba, selam, günaydın, nasılsın, teşekkürler,
        teşekkür ederim, görüşürüz, привет, здравствуйте, доброе утро, добрый день, добрый вечер, как дела, спасибо,
        большое спасибо, пока, до свидания, привіт, дякую,
        你好, 您好, 你好吗, 早上好, 晚上好, 谢谢, 谢谢你, 多谢, 再见, 拜拜,
        こんにちは, おはよう, おはようございます, こんばんは, ありがとう, ありがとうございます, さようなら, またね, 元気ですか,
        안녕, 안녕하세요, 감사합니다, 고마워, 고맙습니다, 잘 지내세요,
        مرحبا,
        السلام عليكم, شكرا, كيف حالك, नमस्ते, धन्यवाद, שלום, תודה
    """,
}

_OPENERS = """
    and, but, so, or, also, what about, how about, what if, and what, then, und, aber, oder, was ist mit,
    wie ist es mit, wie sieht es mit, und was, und wie, dann, what else, anything else, was noch, sonst noch,
    which of, which one, which ones, welche davon, welcher davon
"""
_WHOLE = """
    why, why not, how, how so, who, when, where, which, which one, really, more, more please, more details,
    tell me more, details, an example, example, for example, examples, give me an example, another example,
    another one, one more, again, try again, once more, continue, go on, keep going, next, and then, shorter, longer,
    simpler, make it shorter, make it longer, in other words, say that again, in english, in german, yes, yeah, yep,
    yes please, sure, of course, please do, do it, do that, go ahead, correct, exactly, right, no, nope, no thanks,
    not really, are you sure, is that so, is that all, what do you mean, what does that mean, i do not understand,
    i dont understand, i dont get it, elaborate, can you elaborate, explain that, explain it, explain, please explain,
    like what, such as, so what, then what, what, huh, warum, warum nicht, wieso, weshalb, wie, wie das, wer, wann,
    wo, wirklich, echt, mehr, mehr dazu, mehr details, erzähl mehr, erzähl mir mehr, ein beispiel, beispiel,
    zum beispiel, beispiele, gib mir ein beispiel, noch ein beispiel, noch eins, noch einmal, nochmal, weiter,
    mach weiter, nächstes, kürzer, länger, einfacher, auf deutsch, auf englisch, ja, jo, jep, ja bitte, ja gerne,
    klar, natürlich, mach das, genau, richtig, stimmt, nein, nö, nein danke, bist du sicher, was meinst du,
    was heißt das, was bedeutet das, verstehe ich nicht, ich verstehe nicht, genauer, geht es genauer, erkläre das,
    erklär das, wie meinst du das, inwiefern, und jetzt, und nun, was nun, ist das alles
"""
_FILLERS = """
    please, bitte, very, much, so, a lot, there, again, all, everyone, everybody, friend, my friend, buddy, mate,
    parley, you, to you, too, really, then, now, for, your, help, the, for your help, for that, for the help,
    for this, for everything, it, that, was, is, well, just, and, i, am, today, tomorrow, later, sehr, dir, euch,
    ihnen, ihr, auch, noch, mal, dann, jetzt, und, für, deine, die, hilfe, das, war, ist, es, alle, zusammen, heute,
    morgen, später, wirklich, ganz, doch, also, dear, guys, folks, team, sir, madam, from, me, von, mir, out, this,
    morning, in, un, une, très, muy, molto, bien
"""
_NAMES = """
    my name is, call me, ich heiße, mein name ist, nenn mich, je m'appelle, me llamo, mi chiamo
"""

# Of German nouns that are written as one word with what stands before them: Mietvertrag, Jahresbericht.
DOCUMENT_ENDINGS = (
    "vertrag", "vertrags", "verträge", "bericht", "berichts", "dokument", "handbuch", "richtlinie", "richtlinien",
    "protokoll", "anleitung", "rechnung", "rechnungen", "ordnung", "unterlagen", "vereinbarung", "gutachten",
)  # fmt: skip

_WORD = re.compile(r"[^\W_]+")


def words_of(text: str) -> list[str]:
    """Splits a text into its words, as they are compared: case folded, apostrophes and other signs gone."""
    plain = text.casefold().replace("’", "'").replace("i'm ", "i am ").replace("'", "")
    return _WORD.findall(plain)


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words that stand for a sign."""

    words: tuple[str, ...]
    sign: Sign


def _phrases(text: str) -> Iterator[tuple[str, ...]]:
    for phrase in text.split(","):
        if words := tuple(words_of(phrase)):
            yield words


def _by_first_word() -> dict[str, tuple[Phrase, ...]]:
    found: dict[str, dict[tuple[str, ...], Phrase]] = {}
    for sign, text in _PHRASES.items():
        for words in _phrases(text):
            # Of two signs with the same phrase the first is meant: the table begins with what needs a search.
            found.setdefault(words[0], {}).setdefault(words, Phrase(words, sign))
    return {
        first: tuple(sorted(phrases.values(), key=lambda phrase: -len(phrase.words)))
        for first, phrases in found.items()
    }


def _longest_first(text: str) -> tuple[tuple[str, ...], ...]:
    return tuple(sorted(set(_phrases(text)), key=lambda words: (-len(words), words)))


PHRASES = _by_first_word()
"""By their first word, the longest first."""
OPENERS = _longest_first(_OPENERS)
"""A short message that begins so goes on from what was said before."""
WHOLE = frozenset(_phrases(_WHOLE))
"""A message that is no more than this goes on from what was said before."""
FILLERS = frozenset(word for words in _phrases(_FILLERS) for word in words)
"""Words that small talk may have beside its phrases."""
NAMES = _longest_first(_NAMES)
"""After these words somebody says their name."""
NAMES_AFTER_GREETINGS = _longest_first("i am, this is, ich bin")
"""So do they after these, once they have greeted."""

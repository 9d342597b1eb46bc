"""Tells whether a fact about speech or music only says that there is none, or that nothing is known.

Models that describe clips answer also where there is nothing to say: "I'm sorry, but there is no speech in the audio."
The paper gives the facts A3 and A4 only where there is speech or music [P]. A fact is read clause by clause, and every
clause has to state absence or be an apology: "There is no speech, but a man laughs." tells something.
"""

import re

_TOPIC = (
    r"(?:speech|speaking|spoken \w+|speakers?|words?|voices?|vocals?|vocalists?|talking|conversation|lyrics|music|"
    r"musical \w+|melody|songs?|singing|singers?|instruments?|information|details?|emotions?|gender|language|genre|"
    r"mood)"
)
_OF = rf"(?: (?:of|about|on|regarding|from) (?:the |its |any )?(?:\w+ )?{_TOPIC})?"
_THING = rf"(?:the |its |their |any |a )?(?:speakers?'?s? )?(?:\w+ ){{0,2}}?{_TOPIC}(?: content)?{_OF}"
_LISTED = rf"(?:(?:the|its|their|any) )?{_TOPIC}"
_LIST = re.compile(rf"\b{_LISTED}(?:(?:, (?:and |or )?| and | or | nor ){_LISTED})+\b")
_AUDIO = (
    r"(?:(?:the|this|that|your) (?:\w+ )?(?:audio|sound|clip|recording|track|file|soundscape)"
    r"(?: clip| file| you provided)?)"
)
_KNOW = (
    r"(?:identif\w+|determin\w+|detect\w*|recogni[sz]\w*|discern\w*|tell|say|hear\w*|know\w*|specif\w+|find|found|"
    r"provid\w+|infer\w*|extract\w*|distinguish\w*|ascertain\w*)"
)
_NOTHING = (
    r"(?:none|n/?a|null|nil|nothing|no|unknown|unclear|unspecified|undetermined|unidentifiable|silen(?:t|ce)|-+|"
    r"not (?:applicable|available|known|specified|present|given|clear|possible|detected|mentioned|provided)|absent)"
)
_BETWEEN_CLAUSES = re.compile(r"[.!?;,]\s+|\b(?:but|and|so)\b")
_LEAD = re.compile(
    r"^(?:(?:and|so|as|since|because|therefore|thus|hence|however|also|unfortunately|sorry|i'm afraid|"
    r"in (?:the|this) \w+)[, ]+)*"
    r"(?:it (?:seems|appears|sounds)(?: that| like)? )?"
)
_APOLOGY = re.compile(
    r"(?:(?:i'm|i am|we are|we're) )?(?:so |very )?(?:sorry|unfortunately|afraid)|(?:my )?apologies|i apologi[sz]e.*"
    r"|based on (?:the|this|these) \w+|(?:as )?an ai\b.*|(?:can|may|could) i help .*|(?:please )?let me know .*"
    r"|(?:there is )?(?:only|just) (?:the |some )?(?:sounds?|noises?|ambien\w+) .*|"
)
_ABSENCE = re.compile(
    rf"(?:{_THING}(?::| is| are) )?{_NOTHING}"
    rf"|{_AUDIO} (?:is|seems|remains) (?:completely |entirely )?silent"
    rf"|(?:there|{_AUDIO}|it)(?:'s| is| are| was| were| has| have| contains?| includes?| features?| seems to be"
    rf"| appears to be)? (?:no(?! doubt| longer)|not any|without(?: any)?|devoid of(?: any)?|lack(?:s|ing)(?: any)?) "
    rf"{_THING}\b.*"
    rf"|there (?:isn't|aren't|wasn't|is not|are not|does not (?:seem|appear) to be|doesn't (?:seem|appear) to be)"
    rf"(?: any)? (?!many |much |only |just ){_THING}\b.*"
    rf"|(?:{_AUDIO}|it) (?:does not|doesn't|did not|didn't) (?:contain|have|include|feature|seem to (?:contain|have))"
    rf"(?: any)? {_THING}\b.*"
    rf"|(?:i|we|one) (?:cannot|can't|can not|could not|couldn't|do not|don't|did not|didn't|(?:am|are) unable to) "
    rf"{_KNOW} .*?\b{_TOPIC}\b.*"
    rf"|(?:it is |it's |it was |it isn't )?(?:not )?(?:possible|impossible|unable|difficult) to {_KNOW}\b.*"
    rf"|(?:no|not any|without(?: any)?|neither|lack of|absence of) {_THING}"
    rf"(?: (?:is|are|was|were|can|could|in|on|here|at|present|detected|heard|audible|identified|found|playing)\b.*)?"
    rf"|(?:no one|nobody|no ?body) (?:is |was )?(?:speak|talk|sing)\w*.*"
    rf"|{_THING} (?:is|are|was|were) (?:not |un)(?:present|audible|heard|available|applicable|clear|mentioned|{_KNOW})"
    rf"(?: (?:from|in|by|to|based|at|here|due|on|with)\b.*)?"
    rf"|{_THING} (?:cannot|can't|can not|could not|couldn't) be {_KNOW}\b.*"
)


def states_absence(fact: str) -> bool:
    """
    Example:
        >>> states_absence("I'm sorry, but there is no speech."), states_absence("Music without vocals.")
        (True, False)
    """
    text = _LIST.sub("speech", " ".join(fact.lower().replace("\u2019", "'").split()))
    clauses = [_LEAD.sub("", clause.strip(" .!?\"'()[]")) for clause in _BETWEEN_CLAUSES.split(text)]
    stated = [clause for clause in clauses if _APOLOGY.fullmatch(clause) is None]
    return bool(stated) and all(_ABSENCE.fullmatch(clause) is not None for clause in stated)

"""Claims about form: messages that are no JSON or of no known type, audio that cannot be decoded.

Owns what their absence proves. That every text message was JSON proves that none was not. That each was of a type in the profile
speaks against a claim about types, but does not prove it wrong: which types a vendor takes is the vendor's to say. It says nothing of
the values inside. Raw audio has no form at all: only a vendor that has been understanding it to the very end contradicts itself. Where
every message is to be a file, files of which each is plain and whole have a form that can be read, whatever their samples are.
"""

from __future__ import annotations

from typing import Final

from proxy.core.checks.finding import CANNOT_TELL, NO, NO_AUDIO, YES, Case, Finding, found
from proxy.core.verdict import Check, Noticed, Owner

LATELY: Final = 2.0
"""Seconds since the last result, up to which the vendor understood what came."""

FLAWS: Final = {
    Noticed.CONTAINER_IN_RAW: "the audio began with a container's header where raw samples were declared",
    Noticed.FORMAT_MISMATCH: "a header inside the audio tells another format than was declared",
    Noticed.TEXT_IN_AUDIO: "binary messages held JSON or base64 instead of samples",
    Noticed.ODD_BYTES: "messages did not hold whole samples",
    Noticed.ALL_ZERO_AUDIO: "the audio was silent all along",
}
WELL_FORMED: Final = "Every text message of the client's was JSON: not the client. Send the vendor's support the ids."
NO_TEXT: Final = "The client sent no text message at all: not the client. Send the vendor's support the ids."
KNOWN_TYPES: Final = ("Every text message of the client's was of a type that is known of this vendor: either it takes fewer of them than "
                      "its SDKs send, or it is wrong.")
UNDERSTOOD: Final = ("The vendor had been sending results for this audio until it said so, and nothing in the form of what was sent has "
                     "changed. Send the vendor's support the ids and the evidence.")

HEADED: Final = ("Every message of this stream was a whole file under the header that the vendor asks for: not the client. "
                 "Send the vendor's support the ids and the evidence.")
WHOLE_FILES: Final = ("Every message of this stream was a whole file of the declared format, in which nothing can be undecodable; whether "
                      "the vendor means something else is not known.")


def message_shape(case: Case) -> Finding:
    known, shape = case.known, case.then.shape
    says = case.says
    wrong = shape.malformed
    if " json " in says:
        wrong = shape.not_json + shape.not_object
    elif " type " in says:
        wrong = shape.malformed - shape.incomplete
    if wrong or case.then.broken:
        return found(Check.MESSAGE_SHAPE, YES, "messages", stage="read", claimed=1, measured=max(wrong, 1))
    if shape.text_in_binary:  # what the vendor makes of these is not known
        return found(Check.MESSAGE_SHAPE, CANNOT_TELL, "messages", stage="read", claimed=1, measured=0)
    agrees, owner, hint = CANNOT_TELL, None, None
    if known.spec is not None and case.whole and not _may_mean_audio(case):
        if " json " in says:
            agrees, owner, hint = NO, Owner.VENDOR, WELL_FORMED
        elif " type " in says:
            agrees, owner, hint = (CANNOT_TELL, Owner.UNKNOWN, KNOWN_TYPES) if shape.understood else (NO, Owner.VENDOR, NO_TEXT)
    return found(Check.MESSAGE_SHAPE, agrees, "messages", stage="read", claimed=1, measured=0, owner=owner, hint=hint)


def _may_mean_audio(case: Case) -> bool:
    """Binary audio went to a vendor that knows audio in text messages as well: it may have been taken for one of these."""
    known = case.known
    in_text = known.spec is not None and any(message.role == "audio" for message in known.spec.spec.client.all())
    return in_text and case.then.binary_audio > 0


def audio_decodable(case: Case) -> Finding:
    form = case.then.form
    facts = set(form.flaws) | ({Noticed.ODD_BYTES} if case.then.clock.odd else set())
    flaws = [words for fact, words in FLAWS.items() if fact in facts]
    if flaws:
        hint = f"What was sent shows it: {'; '.join(flaws)}."
        return found(Check.AUDIO_DECODABLE, YES, "flaws", stage="read", measured=len(flaws), hint=hint)
    if case.then.clock.chunks == form.after and case.whole:
        return found(Check.AUDIO_DECODABLE, CANNOT_TELL, "flaws", stage="read", measured=0, owner=Owner.UNKNOWN, hint=NO_AUDIO)
    if form.files and not form.others and case.whole:
        if any(word in case.says for word in (" header ", " format ")):
            return found(Check.AUDIO_DECODABLE, NO, "flaws", stage="read", measured=0, owner=Owner.VENDOR, hint=HEADED)
        return found(Check.AUDIO_DECODABLE, CANNOT_TELL, "flaws", stage="read", measured=0, owner=Owner.UNKNOWN, hint=WHOLE_FILES)
    result_at, clock = case.then.result_at, case.then.clock
    lately = result_at is not None and case.at - result_at <= LATELY
    if lately and clock.timed and clock.steady and case.whole:
        return found(Check.AUDIO_DECODABLE, NO, "flaws", stage="read", measured=0, owner=Owner.VENDOR, hint=UNDERSTOOD)
    return found(Check.AUDIO_DECODABLE, CANNOT_TELL, "flaws", stage="read", measured=0)

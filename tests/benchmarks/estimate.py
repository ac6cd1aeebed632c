"""How often the bill lies within the interval that was estimated for it, and how far the mean is off.

    python tests/benchmarks/estimate.py [draws]

Corpora of six kinds (contracts, mail, code, JSON, logs, non-Latin text), and all of them mixed, meet five tokenizers
that the estimator does not know: each makes more or fewer tokens of long words, digits, marks and other scripts in its
own way, and is scaled by a factor of its own. A draw is a corpus of 40 to 3,000 documents with one of them. It is
estimated from nothing, from 30 counts of the API (which are up to 1% off the bill, as the API's may be), and from 60
earlier answers; half of the corpora are so large that only a fifth of their documents is counted by tiktoken. The bill
is that of claude-sonnet-5-5, replies included, whose lengths are log-normal. Everything is drawn from one seed, so that
the figures can be repeated.
"""

import math
import random
import sys
import sysconfig
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from statistics import fmean, median

import _paths  # noqa: F401

from batchrun.catalog.price_table import load_prices
from batchrun.estimation.calibration import Calibration, Observation, calibrate
from batchrun.estimation.estimate import Estimate, Estimator, RequestTokens
from batchrun.estimation.estimate_sum import EstimateSum
from batchrun.estimation.interval import Interval
from batchrun.estimation.reply_length import Replies, reply_length
from batchrun.estimation.sampling import Counted, DocumentSize, evenly, ratios, step_bytes, unsampled
from batchrun.estimation.text_class import TextClass, text_class
from batchrun.estimation.tokenizer import _encoding
from batchrun.planning.calibration_data import COUNT_BIAS, PAST_BIAS

SEED = 20_261_127
POOL = 250
"""Documents of each kind, from which corpora are drawn."""
ONLINE, PAST = 30, 60
FIXED_CL100K = 400
PRICE = load_prices(today=date(2026, 11, 20)).model("claude-sonnet-5-5")
OUTPUT_PRIOR = Interval(180, low=70, high=450)

LEGAL = """
agreement party the shall of notice payment to term supplier and customer delivery in invoice any liability by or
warranty governing law be amendment such confidential information services under termination material for breach
thirty days with written consent hereunder as provided including without limitation this obligations its
assignment successors effective date on force majeure not arbitration jurisdiction Delaware indemnify damages from
reasonable efforts schedule that exhibit intellectual property licence fee quarterly interest rate may no other
"""
TALK = """
hi thanks for your mail we will meet on friday about the order could you please send me the new offer again our
team has looked at it and there is one thing left best regards let me know if that works see you soon cheers
"""
RUSSIAN = "договор стороны обязуются поставить товар оплата производится течение дней момента подписания акта или"
JAPANESE = "本契約は 甲及び乙が 署名した日から 効力を 生じるものとする 支払いは 請求書の 受領後"
CHINESE = "本 合 同 自 双 方 签 字 之 日 起 生 效 一 式 两 份 各 执 甲 方 应 当 在 收 到 发 票 后 三 十 天 内 支 付"
ARABIC = "هذا العقد بين الطرفين يلتزم المورد بتسليم البضاعة خلال ثلاثين يوما من تاريخ التوقيع"


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """What another tokenizer makes of a token of cl100k: of words by their length, of digits, marks, other scripts."""

    word: float
    letter: float
    """The tokens of each letter of a word beyond the first."""
    digit: float
    mark: float
    other: float

    def count(self, tokens: Sequence[bytes]) -> float:
        return sum(map(self._weight, tokens))

    def _weight(self, token: bytes) -> float:
        bare = token.strip()
        if not bare:
            return self.mark
        if bare.isalpha():
            return self.word + self.letter * (len(bare) - 1)
        if bare.isdigit():
            return self.digit
        return self.mark if bare.isascii() else self.other


TOKENIZERS = (
    Tokenizer(word=1.00, letter=0.15, digit=1.0, mark=1.4, other=0.85),
    Tokenizer(word=0.85, letter=0.20, digit=1.2, mark=1.2, other=0.95),
    Tokenizer(word=1.10, letter=0.12, digit=1.1, mark=1.6, other=0.75),
    Tokenizer(word=1.20, letter=0.10, digit=0.9, mark=1.3, other=0.90),
    Tokenizer(word=0.70, letter=0.25, digit=1.3, mark=1.5, other=0.80),
)


@dataclass(frozen=True, slots=True)
class Text:
    """One document of the pool, counted by everybody."""

    tokens: RequestTokens
    size: DocumentSize
    truth: tuple[float, ...]
    """The counts by each of the tokenizers."""


# --- corpora


def contracts(chance: random.Random) -> str:
    clauses = range(int(chance.lognormvariate(2.6, 0.6)) + 2)
    return "\n\n".join(f"{number + 1}. {_sentence(chance, LEGAL, 60)}" for number in clauses)


def mail(chance: random.Random) -> str:
    day = f"2026-{chance.randrange(1, 13):02}-{chance.randrange(1, 29):02}"
    head = f"From: {_word(chance, TALK)}@example.com\nDate: {day}\n\n"
    return head + "\n".join(_sentence(chance, TALK, 18) for _ in range(int(chance.lognormvariate(1.2, 0.8)) + 1))


def code(chance: random.Random) -> str:
    lines = chance.choice(_SOURCES).splitlines()
    length = int(chance.lognormvariate(4.3, 0.8)) + 5
    start = chance.randrange(max(1, len(lines) - length))
    return "\n".join(lines[start : start + length])


def json_documents(chance: random.Random) -> str:
    rows = (
        f'{{"id": {chance.randrange(10**6)}, "name": "{_word(chance, LEGAL)} {_word(chance, LEGAL)}", "amount":'
        f' {chance.uniform(1, 9_999):.2f}, "tags": ["{_word(chance, TALK)}", "{_word(chance, LEGAL)}"], "open": true}}'
        for _ in range(int(chance.lognormvariate(2.5, 0.9)) + 1)
    )
    return "[" + ",\n ".join(rows) + "]"


def logs(chance: random.Random) -> str:
    return "\n".join(
        f"2026-11-17T{chance.randrange(10, 24)}:{chance.randrange(10, 60)}:{chance.random():.3f}"
        f" info pid={chance.randrange(99_999)} ms={chance.randrange(9_999)} {_word(chance, TALK)}"
        for _ in range(int(chance.lognormvariate(3, 0.7)) + 1)
    )


def other_scripts(chance: random.Random) -> str:
    text = chance.choice([RUSSIAN, JAPANESE, CHINESE, ARABIC])
    gap = "" if text is CHINESE else " "
    return gap.join(_word(chance, text) for _ in range(int(chance.lognormvariate(5, 0.7)) + 20))


def _word(chance: random.Random, text: str) -> str:
    return chance.choice(text.split())


def _sentence(chance: random.Random, text: str, most: int) -> str:
    return " ".join(_word(chance, text) for _ in range(chance.randrange(most // 3, most))).capitalize() + "."


_SOURCES = [path.read_text("utf-8") for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))[:60]]
KINDS: dict[str, Callable[[random.Random], str]] = {
    "contracts": contracts,
    "mail": mail,
    "code": code,
    "json": json_documents,
    "logs": logs,
    "other scripts": other_scripts,
}


def pool(kind: Callable[[random.Random], str], chance: random.Random) -> list[Text]:
    texts = (kind(chance) for _ in range(POOL))
    return [_text(text) for text in texts if text.strip()]


def _text(text: str) -> Text:
    tokens = [_encoding().decode_single_token_bytes(token) for token in _encoding().encode_ordinary(text)]
    return Text(
        RequestTokens(len(tokens), text_class(text)),
        DocumentSize(len(text.encode()), text_class(text)),
        tuple(one.count(tokens) for one in TOKENIZERS),
    )


# --- a draw


@dataclass(frozen=True, slots=True)
class Truth:
    """What the API would make of it."""

    tokenizer: int
    scale: float
    fixed: float
    reply_mean: float
    reply_sigma: float
    count_error: float
    """The error of the counting endpoint, as a share of what is billed."""

    def prompt(self, text: Text) -> int:
        return round(self.fixed + self.scale * text.truth[self.tokenizer])

    def reply(self, chance: random.Random) -> int:
        mu = math.log(self.reply_mean) - self.reply_sigma**2 / 2
        return round(chance.lognormvariate(mu, self.reply_sigma)) + 1


def drawn_truth(chance: random.Random) -> Truth:
    side = chance.gauss(0, 1) / 1.645
    width = OUTPUT_PRIOR.high - OUTPUT_PRIOR.mean if side > 0 else OUTPUT_PRIOR.mean - OUTPUT_PRIOR.low
    return Truth(
        tokenizer=chance.randrange(len(TOKENIZERS)),
        scale=chance.uniform(0.92, 1.08),
        fixed=FIXED_CL100K * chance.uniform(1.3, 1.8),
        reply_mean=max(OUTPUT_PRIOR.mean + side * width, 20.0),
        reply_sigma=chance.uniform(0.2, 0.9),
        count_error=chance.uniform(-0.01, 0.01),
    )


def prior_estimator() -> Estimator:
    reply = reply_length(OUTPUT_PRIOR, None)
    return Estimator(PRICE, fixed_tokens=FIXED_CL100K, output=reply.average, output_scatter=reply.scatter)


def counted_by(texts: Sequence[Text], number: int) -> tuple[list[Text], float]:
    """A sample drawn as `count_tokens` is asked, and the step between them."""
    ordered = sorted(range(len(texts)), key=lambda one: (texts[one].tokens.text_class, texts[one].tokens.counted))
    sizes = [(one, texts[one].tokens.counted) for one in ordered]
    step = max(sum(size for _, size in sizes) / number, 1.0)
    return [texts[one] for one in evenly(sizes, step)], step


def with_counts(texts: Sequence[Text], truth: Truth) -> Estimator:
    drawn, step = counted_by(texts, ONLINE)
    observations = [
        Observation(one.tokens.text_class, one.tokens.counted, round(truth.prompt(one) * (1 + truth.count_error)))
        for one in drawn
    ]
    observations.append(Observation(TextClass.PROSE, 0, round(truth.fixed * (1 + truth.count_error))))
    return replace(prior_estimator(), calibration=calibrated(observations, COUNT_BIAS, step=step))


def with_past(earlier: Sequence[Text], truth: Truth, chance: random.Random) -> Estimator:
    observations = [Observation(one.tokens.text_class, one.tokens.counted, truth.prompt(one)) for one in earlier]
    reply = reply_length(OUTPUT_PRIOR, Replies.of([truth.reply(chance) for _ in earlier]))
    return replace(
        prior_estimator(),
        calibration=calibrated(observations, PAST_BIAS, step=0.0),
        output=reply.average,
        output_scatter=reply.scatter,
    )


def calibrated(observations: Sequence[Observation], bias: float, *, step: float) -> Calibration | None:
    return calibrate(
        observations,
        tokenizer=PRICE.tokenizer,
        fixed_tokens=FIXED_CL100K,
        bias=bias,
        step=step,
    )


def estimated(estimator: Estimator, texts: Sequence[Text], *, sampled: bool) -> Estimate:
    """As the planner does it: everything counted, or a sample counted and the rest guessed by size."""
    tokens, deviations = guessed(texts) if sampled else ([one.tokens for one in texts], {})
    total = EstimateSum(estimator, unsampled=deviations)
    for one in tokens:
        total.add(one)
    return total.estimate()


def guessed(texts: Sequence[Text]) -> tuple[list[RequestTokens], dict[TextClass, float]]:
    ordered = sorted(range(len(texts)), key=lambda one: (texts[one].size.text_class, texts[one].size.bytes))
    sizes = [(one, texts[one].size.bytes) for one in ordered]
    total = sum(size for _, size in sizes)
    step = max(step_bytes(len(sizes), total, sum(size**2 for _, size in sizes)), total / max(60, len(sizes) / 5))
    chosen = set(evenly(sizes, step))
    found = ratios([Counted(texts[one].size, texts[one].tokens.counted) for one in chosen], step)
    left: defaultdict[TextClass, int] = defaultdict(int)
    tokens = []
    for number, text in enumerate(texts):
        kind, size = text.size.text_class, text.size.bytes
        if number not in chosen:
            left[kind] += size
        guess = RequestTokens(round(size * found[kind].mean), kind, guessed=True)
        tokens.append(text.tokens if number in chosen else guess)
    return tokens, unsampled(left, found)


@dataclass(slots=True)
class Score:
    covered: list[bool]
    widths: list[float]
    errors: list[float]

    def add(self, interval: Interval, actual: float) -> None:
        self.covered.append(interval.low <= actual <= interval.high)
        self.widths.append((interval.high - interval.low) / interval.mean)
        self.errors.append(interval.mean / actual - 1)

    def row(self) -> str:
        sizes = sorted(map(abs, self.errors))
        return (
            f"{100 * fmean(self.covered):5.1f}%   {100 * median(self.widths):5.1f}%   {100 * fmean(sizes):5.2f}%"
            f"   {100 * sizes[int(0.9 * len(sizes))]:5.2f}%   {100 * fmean(self.errors):+5.2f}%"
        )


def run(draws: int) -> None:
    chance = random.Random(SEED)
    pools = {name: pool(kind, chance) for name, kind in KINDS.items()}
    pools["mixed"] = [text for texts in pools.values() for text in texts]
    scores: defaultdict[str, Score] = defaultdict(lambda: Score([], [], []))
    by_kind: defaultdict[str, Score] = defaultdict(lambda: Score([], [], []))
    for number, name in zip(range(draws), _endlessly(sorted(pools)), strict=False):
        texts = chance.choices(pools[name], k=int(10 ** chance.uniform(1.6, 3.5)))
        truth, sampled = drawn_truth(chance), number % 2 == 1
        prompts, replies = sum(map(truth.prompt, texts)), sum(truth.reply(chance) for _ in texts)
        bill = prompts * PRICE.rates.input + replies * PRICE.rates.output
        earlier = chance.choices(pools[name], k=PAST)
        for how, estimator in (
            ("nothing", prior_estimator()),
            ("30 counts", with_counts(texts, truth)),
            ("60 answers", with_past(earlier, truth, chance)),
        ):
            estimate = estimated(estimator, texts, sampled=sampled)
            scores[f"{how:<12} input"].add(estimate.input, prompts)
            scores[f"{how:<12} bill "].add(estimate.cost_nusd, bill)
            by_kind[f"{how:<12} {name}"].add(estimate.input, prompts)
    print(f"{draws} draws, seed {SEED}; interval of 90%\n")
    print("from         of      covered   width    error    p90      bias")
    for name, score in scores.items():
        print(f"{name:<18}   {score.row()}")
    print("\ninput only, by kind of corpus")
    for name, score in sorted(by_kind.items()):
        print(f"{name:<26}   {score.row()}")


def _endlessly(names: Sequence[str]) -> Iterator[str]:
    while True:
        yield from names


if __name__ == "__main__":
    run(int(sys.argv[1]) if len(sys.argv) > 1 else 200)

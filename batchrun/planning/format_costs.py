"""What documents of some formats cost: PDFs as text or as they are, and texts that are mostly markup."""

import math

from batchrun.estimation.estimate import Estimator
from batchrun.estimation.estimate_sum import EstimateSum
from batchrun.estimation.interval import Interval
from batchrun.planning.plan_table import PlannedDocuments
from batchrun.planning.plan_tokens import PlannedTokens
from batchrun.strategy.plan import MostlyMarkup, PdfCost


def pdf_cost(tokens: PlannedTokens, estimator: Estimator, saving: Interval) -> PdfCost | None:
    """Price the PDFs to send as text and as they are. Returns None without a PDF.

    `saving` is what a cached prefix saves of a request, in tokens at the price of input.
    """
    texts, natives = EstimateSum(estimator, saving=saving), EstimateSum(estimator, saving=saving)
    files = pages = textless = 0
    for pdf in tokens.pdfs():
        files, pages = files + 1, pages + pdf.pages
        natives.add(pdf.as_file)
        if text := pdf.as_text:
            texts.add(text)
        else:
            textless += 1
    if not files:
        return None
    as_text, native = (total.estimate().cost_nusd.mean for total in (texts, natives))
    return PdfCost(files=files, pages=pages, textless=textless, as_text_nusd=as_text, native_nusd=native)


def markup_cost(planned: PlannedDocuments, estimator: Estimator) -> MostlyMarkup | None:
    """Price the documents to send that are mostly markup. Returns None without such a document."""
    tokens, documents, worst = planned.mostly_markup()
    if worst is None:
        return None
    claude = sum(number * estimator.factor(text_class) for text_class, number in tokens.items())
    return MostlyMarkup(documents, math.ceil(estimator.at_rates(estimator.price.rates, claude, 0)), *worst)

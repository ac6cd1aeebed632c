"""A mail with an HTML alternative and an attachment, and an archive of three short mails."""

import base64

from making_office.invoices import quote

_HEAD = """\
Return-Path: <lucas.pell@pellworth-timber.example>
Message-ID: <20261019.1432.0932@pellworth-timber.example>
Date: Mon, 19 Oct 2026 14:32:05 +0100
From: Lucas Pell <lucas.pell@pellworth-timber.example>
To: Tobias Renwick <tobias@bramblelane.example>
Cc: Amara Vint <amara@bramblelane.example>
Subject: =?utf-8?q?Quote_Q-0932_for_your_caf=C3=A9_shelving?=
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="=_mixed"

--=_mixed
Content-Type: multipart/alternative; boundary="=_either"

--=_either
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

Hello Tobias,

attached is our quote Q-0932 for the oak shelving of the caf=C3=A9 at Tilmouth: =
=C2=A31,932.00 with VAT and delivery. It is valid until 30 November 2026.

The boards are dry and oiled, so we can deliver three weeks after your order.=
 We need a deposit of 25%.

Kind regards
Lucas Pell
Pellworth Timber Ltd

--=_either
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: quoted-printable

<html><head><style>p { font-family: sans-serif }</style></head><body>
<p>Hello Tobias,</p>
<p>attached is our quote <b>Q-0932</b> for the oak shelving of the caf=C3=A9 =
at Tilmouth: <b>=C2=A31,932.00</b> with VAT and delivery. It is valid until 30 November 2026.</p>
<p>The boards are dry and oiled, so we can deliver three weeks after your ord=
er. We need a deposit of 25%.</p>
<p>Kind regards<br>Lucas Pell<br>Pellworth Timber Ltd</p>
</body></html>

--=_either--

--=_mixed
Content-Type: application/pdf; name="quote-0932.pdf"
Content-Disposition: attachment; filename="quote-0932.pdf"
Content-Transfer-Encoding: base64

"""

_ARCHIVE = """\
From amara@bramblelane.example Wed Oct 14 08:12:40 2026
Message-ID: <one@bramblelane.example>
Date: Wed, 14 Oct 2026 09:12:40 +0100
From: Amara Vint <amara@bramblelane.example>
To: service@kestwick-tools.example
Subject: Band saw KT-40, serial 4471-0093
Content-Type: text/plain; charset=utf-8

Hello,

the guard of our new KT-40 does not close fully. The saw was delivered on 14
September 2026. Your notice of 9 October speaks of guards from that month.

>From what I see, one spring is missing. Can you send a technician next week?

Amara Vint
Bramble Lane Studios Ltd

From service@kestwick-tools.example Wed Oct 14 14:03:11 2026
Message-ID: <two@kestwick-tools.example>
In-Reply-To: <one@bramblelane.example>
Date: Wed, 14 Oct 2026 15:03:11 +0100
From: Kestwick Tools service <service@kestwick-tools.example>
To: Amara Vint <amara@bramblelane.example>
Subject: Re: Band saw KT-40, serial 4471-0093
Content-Type: text/plain; charset=utf-8

Dear Ms Vint,

please do not use the saw. Joan Teller will come on Tuesday, 20 October 2026,
between 9 and 11, and replace the guard free of charge. The visit takes about
forty minutes. Your case number is KS-6120.

Kestwick Tools service

From amara@bramblelane.example Tue Oct 20 10:20:02 2026
Message-ID: <three@bramblelane.example>
In-Reply-To: <two@kestwick-tools.example>
Date: Tue, 20 Oct 2026 11:20:02 +0100
From: Amara Vint <amara@bramblelane.example>
To: Kestwick Tools service <service@kestwick-tools.example>
Subject: Re: Band saw KT-40, serial 4471-0093
Content-Type: text/plain; charset=utf-8

Joan was here at 9:30, the new guard closes and the saw runs again. Case KS-6120
can be closed. We lost four working days, so please credit us with the hire of a
saw: £180, receipt to follow.

Amara
"""


def mail() -> bytes:
    """Return the mail with its attachment, whose lines end as they do on the way."""
    attachment = base64.encodebytes(quote()).decode("ascii")
    return f"{_HEAD}{attachment}\n--=_mixed--\n".replace("\n", "\r\n").encode("ascii")


def archive() -> bytes:
    """Return the archive of mails."""
    return _ARCHIVE.encode()

"""A safety notice as a maker of tools puts one on the web."""

_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Safety notice: band saw KT-40 | Kestwick Tools</title>
<style>body { font: 16px sans-serif } .crumbs { color: #777 }</style>
<script>window.visits = (window.visits || 0) + 1;</script>
</head>
<body>
<nav class="crumbs"><a href="/">Home</a> &rsaquo; <a href="/safety">Safety notices</a></nav>
<h1>Safety notice: band saw KT&#8209;40</h1>
<p>Published by Kestwick Tools Ltd on <time datetime="2026-10-09">9 October 2026</time>.
Notice KSN&#8209;2026&#8209;07.</p>
<p>The blade guard of some KT&#8209;40 band saws may open while the blade is running. <strong>Please stop using the saws
in the table until the guard has been replaced.</strong> Nobody has been hurt so far.</p>
<h2>Which saws are affected</h2>
<table>
<tr><th>Serial numbers</th><th>Sold</th><th>Number of saws</th></tr>
<tr><td>4471-0001 to 4471-0480</td><td>August and September 2026</td><td>480</td></tr>
<tr><td>4472-0001 to 4472-0115</td><td>from 1 October 2026</td><td>115</td></tr>
</table>
<h2>What to do</h2>
<ol>
<li>Unplug the saw and read the serial number on the plate below the blade.</li>
<li>Write to <a href="mailto:service@kestwick-tools.example">service@kestwick-tools.example</a> with that number.</li>
<li>A technician replaces the guard free of charge. If you prefer, return the saw for a full refund of £1,390.00.</li>
</ol>
<p hidden>Draft 3, not yet checked by the service department.</p>
<footer>Kestwick Tools Ltd, Unit 3, Forge Lane, Kestwick KW2 8TT</footer>
</body>
</html>
"""


def make() -> bytes:
    """Return the page."""
    return _PAGE.encode()

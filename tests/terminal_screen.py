"""A terminal in memory: what stands on its screen after a program has moved the cursor about."""

import io
import re

TOKEN = re.compile(r"\x1b\[(\d*)([A-Zm])|(\r)|(\n)|([^\x1b\r\n]+)")


class Screen(io.StringIO):
    """A stream that says that it is a terminal, and keeps all that was written."""

    def isatty(self) -> bool:
        return True

    @property
    def shown(self) -> list[str]:
        """The lines on the screen, which is as high as it needs to be, without empty lines at the end."""
        rows, row, column = [""], 0, 0
        for number, command, back, down, text in TOKEN.findall(self.getvalue()):
            if command == "A":
                row = max(0, row - int(number or 1))
            elif command == "K":
                rows[row] = rows[row][:column]
            elif command == "J":
                rows[row:] = [rows[row][:column]]
            elif back:
                column = 0
            elif down:
                row, column = row + 1, 0
                rows += [""] * (row + 1 - len(rows))
            elif text:
                rows[row] = rows[row][:column].ljust(column) + text + rows[row][column + len(text) :]
                column += len(text)
        return "\n".join(rows).rstrip().split("\n")

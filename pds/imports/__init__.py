"""Taking a file into the vault, in batches, so that progress shows and a crash loses nothing.

    stage      parse and validate the whole file; seal the candidates and the report to the vault
    hold       keep a bank's table, sealed, until its owner has said what the columns are
    advance    make records of the next batch and tick it off, in one transaction under one log
               entry (P-35); of an import that is being undone, take the next batch back
    undo       take back, batch by batch, what has not been changed since

Between two batches nothing is open: whoever has unlocked the vault calls `advance` until it is
done. Two who do so at once import each batch once. Rooms: `staging` (sealed rows), `columns` (a
bank's table), `choices` (what is known already), `undo`, `service`.
"""

from pds.imports.choices import DUPLICATES
from pds.imports.columns import BankTables
from pds.imports.service import ImportService, Preview, Progress

__all__ = ["DUPLICATES", "BankTables", "ImportService", "Preview", "Progress"]

-- grain: one raw file that a contract claims, with its hash and what was read from it
select
    file,
    source,
    sha256,
    bytes,
    sheets,
    rows,
    cells,
    rejects as reader_rejects
from {{ source('raw', 'ledger') }}
order by file, source

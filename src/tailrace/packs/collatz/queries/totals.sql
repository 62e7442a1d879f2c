-- Chains that began, and messages; `arrivals` has a row a second, `chains` one a chain.
SELECT sum(chains), sum(messages) FROM rikstv.arrivals

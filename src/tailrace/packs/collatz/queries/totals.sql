-- Chains, and messages.
SELECT uniq(number), sum(messages) FROM rikstv.chains

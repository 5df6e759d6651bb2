"""One request: parsed, admitted, decided by the engine, journaled, answered; and reads of what was decided."""

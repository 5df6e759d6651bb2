// What a program written by hand does with the types: tsc refuses it where the description no longer tells the kinds
// of an object apart, or a field's values. It is checked, not run.
import type { components } from "./palisade.js";

type Schemas = components["schemas"];

export function refusedRows(batch: Schemas["DecisionBatch"]): string[] {
  return batch.data.flatMap((row) => (row.object === "error" ? [row.error.detail] : []));
}

export function isRisky(decision: Schemas["Decision"]): boolean {
  switch (decision.recommended_action) {
    case "approve":
      return false;
    case "review":
    case "challenge":
    case "block":
      return decision.fraud_probability !== null;
  }
}

export function licences(models: Schemas["ModelList"]): (string | undefined)[] {
  return models.data.map((card) => (card.object === "model" ? card.trained_on?.licence : card.method));
}

export function asking(amount: number): Schemas["DecisionRequest"] {
  const balances = { oldbalanceOrg: 0, newbalanceOrig: 0, oldbalanceDest: 0, newbalanceDest: 0 };
  return { schema: "paysim", transaction: { type: "TRANSFER", step: 1, amount, ...balances } };
}

// @ts-expect-error: a transaction of another schema than `schema` names
export const mistaken: Schemas["DecisionRequest"] = { schema: "payments", transaction: { type: "TRANSFER" } };

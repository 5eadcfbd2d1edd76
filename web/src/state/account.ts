/** Who is signed in, for components. */
import { useSyncExternalStore } from "react";
import type { SignIn } from "@parley/client";
import { parley } from "../rpc/parley";

export function useSignIn(): SignIn | undefined {
  return useSyncExternalStore(
    (changed) => parley.tokens.watch(changed),
    () => parley.tokens.signIn,
  );
}

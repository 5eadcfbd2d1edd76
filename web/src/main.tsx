import { lazy, StrictMode, Suspense } from "react";
import { createRoot } from "react-dom/client";
import { useSignIn } from "./state/account";
import { SignInPage } from "./views/SignInPage";
import "./styles.css";

// Signing in needs a small part of the page. The rest is on its way meanwhile.
const rest = import("./views/Workspace");
const Workspace = lazy(() => rest.then((module) => ({ default: module.Workspace })));

function Page() {
  const signIn = useSignIn();
  if (!signIn) return <SignInPage />;
  return (
    <Suspense>
      {/* Another user's page is another page. */}
      <Workspace key={signIn.user.userId} />
    </Suspense>
  );
}

createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <Page />
  </StrictMode>,
);

import { Component, type ReactElement, type ReactNode, Suspense } from "react";
import { Button } from "./button";

/** Shows pages that are loaded when they are first opened, and says so when they cannot be. */
export function Later({ children }: { readonly children: ReactNode }): ReactElement {
  return (
    <Unloaded>
      <Suspense fallback={<Loading />}>{children}</Suspense>
    </Unloaded>
  );
}

function Loading(): ReactElement {
  return (
    <div aria-busy="true" className="h-40 animate-pulse rounded-2xl bg-card ring-1 ring-line">
      <p className="sr-only">Loading the page</p>
    </div>
  );
}

/** Stands in for a page whose code did not come: offline, or replaced by a newer one on the server. */
class Unloaded extends Component<{ readonly children: ReactNode }, { readonly failed: boolean }> {
  override state = { failed: false };

  static getDerivedStateFromError(): { failed: boolean } {
    return { failed: true };
  }

  override render(): ReactNode {
    if (!this.state.failed) return this.props.children;
    return (
      <div role="alert" className="py-20 text-center">
        <h1 className="text-lg font-medium">This page could not be shown</h1>
        <p className="mx-auto mt-1 mb-5 max-w-sm text-soft">
          You may be offline, or Herald has been updated since you opened it.
        </p>
        <Button
          onClick={() => {
            location.reload();
          }}
        >
          Load it again
        </Button>
      </div>
    );
  }
}

/** Holds what a part of the page fails of, when it cannot be loaded above all, so that the rest stands. */
import { Component, type ReactNode } from "react";

interface BoundaryProps {
  /** What is shown instead. */
  instead: ReactNode;
  children: ReactNode;
}

export class Boundary extends Component<BoundaryProps, { readonly failed: boolean }> {
  override state = { failed: false };

  static getDerivedStateFromError() {
    return { failed: true };
  }

  override render() {
    return this.state.failed ? this.props.instead : this.props.children;
  }
}

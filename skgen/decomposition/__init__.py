"""Principal components: what of the rows few directions say."""

__all__ = []

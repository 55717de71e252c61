"""Splitters that test on labeled rows only, and leave rows without a label in every training set.

    labeled rows  -> split by scikit-learn's splitter of the same name
    the others    -> every training set, no test set

Other splitters put rows without a label into test sets, where no score can judge them, or take
their mark for one more class.
"""

import numpy as np
from sklearn.model_selection import (
    KFold,
    ShuffleSplit,
    StratifiedKFold,
    StratifiedShuffleSplit,
)
from sklearn.utils import indexable

from skgen.base import check_partial_labels


class PartlyLabeledSplitter:
    """What the splitters share; `_of_labeled` splits the labeled rows, with the same parameters."""

    def split(self, X, y, groups=None):
        """Yield row numbers of a training and a test set.

        Parameters
        ----------
        X : array-like of shape (n, d)
        y : array-like of shape (n,)
            A row without label is -1 among integers, NaN among floats, None, NaN, pandas.NA or -1
            among objects and strings. Integers that are all -1 or 1 are two classes.
        groups : object
            Ignored.

        Yields
        ------
        training, test : int ndarrays, ascending but where the splitter shuffles
        """
        X, y = indexable(X, y)
        labels, unlabeled = check_partial_labels(y)
        labeled = np.flatnonzero(~unlabeled)
        if not len(labeled):
            raise ValueError(
                f"{type(self).__name__}: y labels none of its {len(labels)} rows; test sets are"
                " made of labeled rows"
            )
        free = np.flatnonzero(unlabeled)
        splitter = self._labeled_splitter()
        for training, test in splitter.split(np.zeros(len(labeled)), labels[labeled]):
            yield np.sort(np.concatenate([labeled[training], free])), labeled[test]

    def get_n_splits(self, X=None, y=None, groups=None):
        """The number of splits.

        Parameters
        ----------
        X, y, groups : object
            Ignored.

        Returns
        -------
        n_splits : int
        """
        return self._labeled_splitter().get_n_splits()

    def _labeled_splitter(self):
        return self._of_labeled(**vars(self))

    def __repr__(self):
        shown = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({shown})"


class PartiallyLabeledKFold(PartlyLabeledSplitter):
    """K folds of the labeled rows.

    Parameters
    ----------
    n_splits : int, default=5
    shuffle : bool, default=False
    random_state : int, RandomState or None, default=None
        As for :class:`sklearn.model_selection.KFold`.

    Examples
    --------
    >>> import numpy as np
    >>> from skgen.model_selection import PartiallyLabeledKFold
    >>> y = np.array([0, -1, 1, 1, -1, 0])
    >>> splits = PartiallyLabeledKFold(2).split(y, y)
    >>> [(training.tolist(), test.tolist()) for training, test in splits]
    [([1, 3, 4, 5], [0, 2]), ([0, 1, 2, 4], [3, 5])]
    """

    _of_labeled = KFold

    def __init__(self, n_splits=5, *, shuffle=False, random_state=None):
        self.n_splits = n_splits
        self.shuffle = shuffle
        self.random_state = random_state


class PartiallyLabeledStratifiedKFold(PartiallyLabeledKFold):
    """K folds of the labeled rows, with the shares of the classes in each.

    Parameters
    ----------
    n_splits : int, default=5
    shuffle : bool, default=False
    random_state : int, RandomState or None, default=None
        As for :class:`sklearn.model_selection.StratifiedKFold`.
    """

    _of_labeled = StratifiedKFold


class PartiallyLabeledShuffleSplit(PartlyLabeledSplitter):
    """Random test sets of labeled rows.

    Parameters
    ----------
    n_splits : int, default=10
    test_size, train_size : float, int or None, default=None
        Shares or numbers of the labeled rows.
    random_state : int, RandomState or None, default=None
        As for :class:`sklearn.model_selection.ShuffleSplit`.
    """

    _of_labeled = ShuffleSplit

    def __init__(self, n_splits=10, *, test_size=None, train_size=None, random_state=None):
        self.n_splits = n_splits
        self.test_size = test_size
        self.train_size = train_size
        self.random_state = random_state


class PartiallyLabeledStratifiedShuffleSplit(PartiallyLabeledShuffleSplit):
    """Random test sets of labeled rows, with the shares of the classes in each.

    Parameters
    ----------
    n_splits : int, default=10
    test_size, train_size : float, int or None, default=None
        Shares or numbers of the labeled rows.
    random_state : int, RandomState or None, default=None
        As for :class:`sklearn.model_selection.StratifiedShuffleSplit`.
    """

    _of_labeled = StratifiedShuffleSplit

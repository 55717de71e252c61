"""Run scikit-learn's own installed test modules on skgen's classes.

    python -m tests.parity.peer_suite            all modules
    python -m tests.parity.peer_suite k_means    those whose name contains the word

In a child process the classes are exchanged before the test module is imported, so every test
runs as scikit-learn wrote it. Tests that cannot say anything about another implementation are
listed with the reason; a listed test that no longer exists is an error.
"""

import subprocess
import sys
from importlib import import_module

MODULES = {
    "sklearn.cluster.tests.test_k_means": "cluster",
    "sklearn.cluster.tests.test_hierarchical": "cluster",
    "sklearn.decomposition.tests.test_incremental_pca": "decomposition",
    "sklearn.decomposition.tests.test_pca": "decomposition",
    "sklearn.mixture.tests.test_bayesian_mixture": "mixture",
    "sklearn.mixture.tests.test_gaussian_mixture": "mixture",
    "sklearn.mixture.tests.test_mixture": "mixture",
    "sklearn.linear_model.tests.test_logistic": "linear_model",
    "sklearn.linear_model.tests.test_perceptron": "linear_model",
    "sklearn.linear_model.tests.test_sgd": "linear_model",
    "sklearn.neural_network.tests.test_mlp": "neural_network",
    "sklearn.semi_supervised.tests.test_label_propagation": "semi_supervised",
    "sklearn.semi_supervised.tests.test_self_training": "semi_supervised",
}
# Our Perceptron stands in for SGDClassifier here, in the tests that hold for the perceptron loss.
SGD = "sklearn.linear_model.tests.test_sgd"
OF_PERCEPTRONS = {
    "test_clone",
    "test_early_stopping",
    "test_fit_then_partial_fit",
    "test_input_format",
    "test_late_onset_averaging_not_reached",
    "test_multiple_fit",
    "test_n_iter_no_change",
    "test_partial_fit_binary",
    "test_partial_fit_equal_fit_classif",
    "test_partial_fit_exception",
    "test_partial_fit_multiclass",
    "test_partial_fit_multiclass_average",
    "test_partial_fit_weight_class_balanced",
    "test_provide_coef",
    "test_set_coef_multiclass",
    "test_set_intercept_offset_binary",
    "test_set_intercept_to_intercept",
    "test_sgd_at_least_two_labels",
    "test_sgd_clf",
    "test_sgd_dtype_match",
    "test_sgd_early_stopping_with_partial_fit",
    "test_sgd_multiclass",
    "test_sgd_multiclass_njobs",
    "test_sgd_multiclass_with_init_coef",
    "test_sgd_numerical_consistency",
    "test_sgd_verbose",
    "test_validation_set_not_used_for_training",
    "test_warm_start_multiclass",
    "test_weights_multiplied",
    "test_wrong_class_weight_label",
    "test_wrong_sample_weights",
}

PRIVATE = "tests a private function of scikit-learn, no class"
METHOD = "calls a private method of scikit-learn's class; the law tests cover what it is about"
MOCK = "counts the calls of a private function of scikit-learn"
ARRAY_API = "array API dispatch: other array libraries are not in this class's contract yet"

OTHER = "builds scikit-learn's own LogisticRegressionCV or path functions, no class of ours"
OPTIMUM = (
    "compares with what scikit-learn's solver reaches at a loose tolerance; ours is the optimum"
)
REFUSAL = "asks for a refusal of what works here"

NOT_APPLICABLE = {
    "test_relocate_empty_clusters": PRIVATE,
    "test_minibatch_update_consistency": PRIVATE,
    "test_minibatch_reassign": PRIVATE,
    "test_euclidean_distance": PRIVATE,
    "test_inertia": PRIVATE,
    "test_is_same_clustering": PRIVATE,
    "test_sample_weight_init": METHOD,
    "test_sample_weight_zero": METHOD,
    "test_gaussian_mixture_precisions_init": METHOD,
    "test_gaussian_mixture_all_init_does_not_estimate_gaussian_parameters": MOCK,
    "test_suffstat_sk_full": PRIVATE,
    "test_suffstat_sk_tied": PRIVATE,
    "test_suffstat_sk_diag": PRIVATE,
    "test_gaussian_suffstat_sk_spherical": PRIVATE,
    "test_compute_log_det_cholesky": PRIVATE,
    "test_log_dirichlet_norm": PRIVATE,
    "test_log_wishart_norm": PRIVATE,
    "test_compare_covar_type": METHOD,
    "test_gaussian_mixture_array_api_compliance": ARRAY_API,
    "test_gaussian_mixture_raises_where_array_api_not_implemented": ARRAY_API,
    "test_logistic_regression_array_api_compliance": ARRAY_API,
    "test_logistic_regression_array_api_warm_start": ARRAY_API,
    "test_large_sparse_matrix": REFUSAL,
    "test_liblinear_with_large_values": REFUSAL,
    "test_logisticregression_warns_with_n_jobs": REFUSAL,
    "test_logistic_regression_callback_support_warning": REFUSAL,
    "test_liblinear_dual_random_state": "asks that the seed changes the result",
    "test_newton_cholesky_fallback_to_lbfgs": "asks for a failure of scikit-learn's solver",
    "test_perceptron_l1_ratio": "asks that two accuracies differ, which the order of rows decides",
    "test_logreg_predict_proba_multinomial": METHOD,
    "test_logistic_cv": OPTIMUM,
    "test_logistic_cv_multinomial_score": OPTIMUM,
    "test_logistic_regression_path_convergence_fail": OTHER,
    "test_logistic_cv_refit_false_non_elasticnet": OTHER,
    "test_logistic_cv_mock_scorer": OTHER,
    "test_logistic_cv_sparse": OTHER,
    "test_logistic_regressioncv_class_weights": OTHER,
    "test_LogisticRegressionCV_no_refit": OTHER,
    "test_LogisticRegressionCV_elasticnet_attribute_shapes": OTHER,
    "test_logistic_regression_path_coefs_multinomial": OTHER,
    "test_logistic_regression_path_init_coefs": OTHER,
    "test_lr_cv_scores_differ_when_sample_weight_is_requested": OTHER,
    "test_lr_cv_scores_without_enabling_metadata_routing": OTHER,
    "test_passing_params_without_enabling_metadata_routing": OTHER,
    "test_logisticregressioncv_warns_with_use_legacy_attributes": OTHER,
    "test_lr_scoring_warns": OTHER,
    "test_get_default_scorer": OTHER,
    "test_infer_dim_1": PRIVATE,
    "test_infer_dim_2": PRIVATE,
    "test_infer_dim_3": PRIVATE,
    "test_assess_dimension_bad_rank": PRIVATE,
    "test_assess_dimension_rank_one": PRIVATE,
    "test_small_eigenvalues_mle": PRIVATE,
    "test_agglomerative_clustering_distances": "asks that distances_ is missing unless asked for",
    "test_pca_array_api_compliance": ARRAY_API,
    "test_pca_mle_array_api_compliance": ARRAY_API,
    "test_array_api_error_and_warnings_on_unsupported_params": ARRAY_API,
    "test_sparse_pca_solver_error": REFUSAL,
    "test_incremental_pca_sparse": REFUSAL,
    "test_pca_svd_solver_auto": "asks for an approximate solver where ours is exact",
    "test_fit": METHOD,
    "test_gradient": METHOD,
    "test_learning_rate_warmstart": METHOD,
    "test_adaptive_learning_rate": METHOD,
    "test_n_iter_no_change": METHOD,
    "test_n_iter_no_change_inf": METHOD,
    "test_early_stopping_stratified": REFUSAL,
    "test_mlp_diverging_loss": "asks for scores of NaN where training that diverges is refused",
    "test_predict_proba_multilabel": "asks for log(p) with the rounding of p, where ours is exact",
    "test_strings_dtype": "asks that strings be refused, which are classes like others here",
    "test_pca_score": "asks that whitening lowers the density of rows, which it leaves as it is",
}


def perceptron_as_sgd():
    """A Perceptron that is built like SGDClassifier."""
    from skgen.linear_model import Perceptron

    unused = {"loss": [str], "learning_rate": [str], "power_t": [float], "epsilon": [float]}

    class StandIn(Perceptron):
        _parameter_constraints = Perceptron._parameter_constraints | unused

        def __init__(
            self,
            loss="perceptron",
            *,
            penalty="l2",
            alpha=0.0001,
            l1_ratio=0.15,
            fit_intercept=True,
            max_iter=1000,
            tol=1e-3,
            shuffle=True,
            verbose=0,
            epsilon=0.1,
            n_jobs=None,
            random_state=None,
            learning_rate="constant",
            eta0=0.01,
            power_t=0.5,
            early_stopping=False,
            validation_fraction=0.1,
            n_iter_no_change=5,
            class_weight=None,
            warm_start=False,
            average=False,
        ):
            for name, value in locals().copy().items():
                if name not in ("self", "__class__"):
                    setattr(self, name, value)
            self.multi_class, self.pocket = "ovr", False

    return StandIn


class Exchange:
    """A pytest plugin: puts our classes in place, drops what does not apply, keeps score."""

    def __init__(self, modules):
        self.of_perceptrons = modules == [SGD]
        self.outcomes = {}
        self.dropped = []

    def pytest_configure(self, config):
        import sklearn

        for package in sorted(set(MODULES.values())):
            theirs, ours = import_module(f"sklearn.{package}"), import_module(f"skgen.{package}")
            for name in set(theirs.__all__) & set(ours.__all__):
                setattr(theirs, name, getattr(ours, name))
        if self.of_perceptrons:
            sklearn.linear_model.SGDClassifier = perceptron_as_sgd()
        # k_means() builds the class that its own module knows.
        sklearn.cluster._kmeans.KMeans = sklearn.cluster.KMeans

    def pytest_collection_modifyitems(self, items):
        kept = []
        for item in items:
            name = getattr(item, "originalname", item.name)
            listed = name in NOT_APPLICABLE
            if self.of_perceptrons:
                others = ("SGDRegressor", "OneClassSVM")
                listed = name not in OF_PERCEPTRONS or any(word in item.name for word in others)
            (self.dropped if listed else kept).append(item)
        items[:] = kept

    def pytest_runtest_logreport(self, report):
        if report.failed:
            self.outcomes[report.nodeid] = "failed"
        elif report.when == "call":
            self.outcomes.setdefault(report.nodeid, report.outcome)
        elif report.skipped:
            self.outcomes[report.nodeid] = "skipped"


def run_here(modules):
    """Run the modules in this process and print the score; returns the number of failures."""
    import pytest

    exchange = Exchange(modules)
    arguments = [
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:logging",
        "-c",
        "/dev/null",
        "--tb=line",
        "--pyargs",
    ]
    pytest.main([*arguments, *modules], plugins=[exchange])
    names = {getattr(item, "originalname", item.name) for item in exchange.dropped}
    failures = sorted(name for name, how in exchange.outcomes.items() if how == "failed")
    counts = {
        how: sum(1 for value in exchange.outcomes.values() if value == how)
        for how in ("passed", "failed", "skipped")
    }
    print("\nfailed:" if failures else "\nno failure")
    for name in failures:
        print("  ", name.split("::", 1)[-1])
    whole = len(modules) == len(MODULES) - 1 and not exchange.of_perceptrons
    unknown = set(NOT_APPLICABLE) - names if whole else set()
    if unknown:
        print("listed as not applicable, but not found:", ", ".join(sorted(unknown)))
    print(
        f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped,"
        f" {len(exchange.dropped)} not applicable ({len(names)} functions)"
    )
    return counts["failed"] + len(unknown)


def main(words):
    if words[:1] == ["--here"]:
        return min(1, run_here(words[1:]))
    modules = [name for name in MODULES if not words or any(word in name for word in words)]
    groups = [[name for name in modules if name != SGD], [name for name in modules if name == SGD]]
    command = [sys.executable, "-m", __name__, "--here"]
    return max(subprocess.run([*command, *group]).returncode for group in groups if group)


if __name__ == "__main__":
    __name__ = "tests.parity.peer_suite"
    sys.exit(main(sys.argv[1:]))

"""Compares the experiments with scikit-learn on the same features, and prints a table; fails where they differ too much.

    npm run -s build && node dist/test/development/features.js /tmp/features 6000 1000 3,9,13
    /usr/bin/python3 test/development/scikit_learn.py /tmp/features

Needs Debian's python3-sklearn. --search also lets scikit-learn choose C by cross-validation, which takes minutes.
Accuracies may differ by 0.3 points (SVM) and 0.05 points (nearest neighbour), other numbers by a ten-thousandth.
"""

import json
import sys
from pathlib import Path

import numpy
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

folder = Path(sys.argv[1])
results = json.loads((folder / "results.json").read_text())
load = lambda name: numpy.load(folder / f"{name}.npy").astype("float64")
y, tested = load("train-labels").astype(int), load("test-labels").astype(int)

SVM, NEAREST, RELATIVE = 0.3, 0.05, 1e-4
failures = 0


def compare(what, ours, theirs, most, relative=True):
    """Prints a row: our number, scikit-learn's, how far they differ, and whether that is too much."""
    global failures
    difference = abs(ours - theirs) / (abs(theirs) if relative else 1)
    wrong = not difference <= most
    failures += wrong
    print(f"{what:54} {ours:12.6g} {theirs:12.6g} {difference:10.2g} {most:8.2g} {'DIFFERS' if wrong else ''}")


def svm(x, seen, c):
    chosen = LinearSVC(C=c, dual=False, tol=1e-6, max_iter=10000)
    if "--search" in sys.argv:
        grid = {"C": [1e-3, 1e-2, 1e-1, 1, 10]}
        chosen = GridSearchCV(LinearSVC(dual=False, max_iter=10000), grid, cv=5)
    return 100 * chosen.fit(x, y).score(seen, tested)


def nearest(x, seen):
    return 100 * KNeighborsClassifier(1, algorithm="brute").fit(x, y).score(seen, tested)


def scatters(x):
    """Within- and between-class covariance."""
    means = numpy.stack([x[y == k].mean(0) for k in range(y.max() + 1)])
    within = x - means[y]
    between = means[y] - x.mean(0)
    return within.T @ within / len(x), between.T @ between / len(x), means


def within_over_between(x):
    """Mean squared distances of all pairs, of one class over those of two."""
    counts = numpy.bincount(y)
    # Over the pairs of a set: Σ |a − b|² = 2 n Σ |a|² − 2 |Σ a|².
    pairs = lambda part: 2 * len(part) * (part**2).sum() - 2 * (part.sum(0) ** 2).sum()
    x = x - x.mean(0)
    same = sum(pairs(x[y == k]) for k in range(len(counts)))
    n_same = (counts * (counts - 1)).sum()
    n_all = len(x) * (len(x) - 1)
    return (same / n_same) / ((pairs(x) - same) / (n_all - n_same))


print(f"{'':54} {'irevnet':>12} {'scikit-learn':>12} {'difference':>10} {'most':>8}")
contraction = {row["depth"]: row for row in results["contraction"]["averaged"]}
neighbours = {row["depth"]: row for row in results["neighbours"]["depths"]}
for row in results["separability"]["depths"]:
    depth = row["depth"]
    raw, seen_raw = load(f"train-{depth}"), load(f"test-{depth}")
    scaler = StandardScaler().fit(raw)
    x, seen = scaler.transform(raw), scaler.transform(seen_raw)
    at = f"depth {depth}: "
    compare(at + f"SVM, C = {row['svm']['c']}, %", 100 * row["svm"]["accuracy"], svm(x, seen, row["svm"]["c"]), SVM, False)
    compare(at + "nearest training image, %", 100 * row["nearestNeighbour"]["accuracy"], nearest(x, seen), NEAREST, False)

    found = neighbours[depth]["images"]
    ours = numpy.array([[one["distance"] for one in image] for image in found])
    model = KNeighborsClassifier(ours.shape[1], algorithm="brute").fit(x, y)
    theirs, places = model.kneighbors(seen[: len(ours)])
    worst = numpy.unravel_index(numpy.argmax(abs(ours - theirs) / theirs), ours.shape)
    compare(at + "distance of a neighbour that differs most", ours[worst], theirs[worst], RELATIVE)

    shape = contraction[depth]
    variances = PCA().fit(raw).explained_variance_
    share = variances / variances.sum()
    positive = share[share > 0]
    compare(at + "participation ratio", shape["participationRatio"], variances.sum() ** 2 / (variances**2).sum(), RELATIVE)
    compare(at + "entropy rank", shape["entropyRank"], numpy.exp(-(positive * numpy.log(positive)).sum()), RELATIVE)
    compare(at + "within over between classes", shape["withinOverBetween"], within_over_between(raw), RELATIVE)
    within, between, _ = scatters(raw)
    compare(at + "tr(Sw⁻¹ Sb)", shape["separation"], numpy.trace(numpy.linalg.solve(within, between)), RELATIVE)
    centroid = 100 * NearestCentroid().fit(raw, y).score(seen_raw, tested)
    compare(at + "nearest mean, %", 100 * shape["nearestMean"]["accuracy"], centroid, NEAREST, False)

last = results["depths"][-1]
scaler = StandardScaler().fit(load(f"train-{last}"))
x, seen = scaler.transform(load(f"train-{last}")), scaler.transform(load(f"test-{last}"))
pca = PCA().fit(x)
explained = numpy.cumsum(pca.explained_variance_ratio_)
ours = numpy.array(results["pca"]["explained"])
worst = numpy.argmax(abs(ours - explained[: len(ours)]) / explained[: len(ours)])
compare(f"pca: variance in the first {worst + 1}, which differs most", ours[worst], explained[worst], RELATIVE)
for row in results["pca"]["components"]:
    k = row["components"]
    a, b = pca.transform(x)[:, :k], pca.transform(seen)[:, :k]
    compare(f"pca: SVM on {k}, C = {row['svm']['c']}, %", 100 * row["svm"]["accuracy"], svm(a, b, row["svm"]["c"]), SVM, False)
    compare(f"pca: nearest on {k}, %", 100 * row["nearestNeighbour"]["accuracy"], nearest(a, b), NEAREST, False)

print(f"{failures} of the numbers differ too much" if failures else "all within the limits")
sys.exit(failures > 0)

/* How far a surface is from convex, as one number. */
#ifndef DESCENT_TRAIN_LANDSCAPE_ROUGHNESS_H
#define DESCENT_TRAIN_LANDSCAPE_ROUGHNESS_H

/* At each inner point of a grid the Hessian of the surface, by central differences, has eigenvalues l1 <=
 * l2. Li et al. 2018 (section 6) map |min / max| of the whole Hessian, small where the loss is as good as
 * convex; this is the same on the plane that is drawn: the mean over the inner points of
 *
 *     max(0, -l1) / max(|l1|, |l2|),
 *
 * 0 for a surface that is convex everywhere, 1 for one that curves down at every point at least as much as
 * it curves up. */
struct roughness {
    double mean;
    double share; /* of the inner points, those with l1 < 0 */
    int points;   /* inner points where all is finite; with 0, mean and share are 0 */
};

/* value[(row * columns + column) * stride]: rows x columns, at distances dy and dx. */
struct roughness roughness_of(const double *value, int rows, int columns, int stride, double dx, double dy);

#endif

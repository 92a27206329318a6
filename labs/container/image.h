/*
 * image.h - images as `docker save`, podman and skopeo write them: a tar that holds layers, each a
 * tar itself, and a description in JSON. The OCI image specification, "Image Layout".
 */
#ifndef CONTAINER_IMAGE_H
#define CONTAINER_IMAGE_H

/* Where the tree below / is an image, from the archive NAME, put the root file system that its
 * layers make in its place. Any other tree stays as it is. Errors end by fail() or give_up(). */
void image_apply(const char *name);

#endif

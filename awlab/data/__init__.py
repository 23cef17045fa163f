"""Images in batches whose order and changes are functions of the position in training."""

from awlab.data.augmentation import Augment as Augment
from awlab.data.cifar import load_cifar as load_cifar
from awlab.data.classification import ClassificationData as ClassificationData
from awlab.data.detection import DetectionData as DetectionData
from awlab.data.digit_scenes import Composition as Composition
from awlab.data.digit_scenes import load_digit_scenes as load_digit_scenes
from awlab.data.digits import load_digits as load_digits
from awlab.data.errors import DataError as DataError
from awlab.data.image_files import Crops as Crops
from awlab.data.image_folder import load_image_folder as load_image_folder
from awlab.data.image_set import ImageArray as ImageArray
from awlab.data.image_set import Images as Images
from awlab.data.image_set import ImageSet as ImageSet
from awlab.data.image_set import channel_statistics as channel_statistics
from awlab.data.image_set import hold_out as hold_out
from awlab.data.objects import Objects as Objects
from awlab.data.objects import Target as Target
from awlab.data.objects import target as target
from awlab.data.photo_patches import load_photo_patches as load_photo_patches
from awlab.data.scene_augmentation import SceneAugment as SceneAugment
from awlab.data.scenes import SceneArray as SceneArray
from awlab.data.scenes import SceneFiles as SceneFiles
from awlab.data.scenes import Scenes as Scenes
from awlab.data.scenes import SceneSet as SceneSet
